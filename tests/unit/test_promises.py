"""Every sentence of README.md is held by a test: the table says by which, and no sentence is missing from it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.support import ROOT

README = "unit/test_readme"
DEPLOYMENT = "unit/test_deployment"
CHART = "unit/test_chart"
SERVICE = "acceptance/test_service"
MODES = "acceptance/test_services_mode"
JOBS = "integration/app/test_jobs_api"
WAITING = "integration/app/test_waiting"
OPENAI = "integration/app/test_openai_protocol"
ISOLATION = "integration/app/test_isolation"
INGEST = "integration/ingest/test_ingest"
REEMBED = "integration/ingest/test_reembed"
WATCH = "integration/ingest/test_watch"
MOVE = "integration/ingest/test_move"
INGEST_JOBS = "integration/ingest/test_ingest_jobs"
PAGE = "acceptance/page"
SEARCH = "integration/worker/test_search"
WORKER = "integration/worker/test_worker"
BATCHES = "integration/worker/test_batches"
CONVERSATIONS = "integration/worker/test_conversations"
COLLECTIONS = "integration/app/test_collections"
SAID = "integration/worker/test_collections"
OWN_JOBS = "integration/worker/test_own_jobs"

PROMISES: dict[str, tuple[str, ...]] = {
    "Ask questions over your PDFs": (f"{SERVICE}::a_question_is_answered_with_document_and_page",),
    "FastAPI takes a question and answers at once": (f"{WAITING}::prefer_wait_that_is_over_is_accepted",),
    "RQ workers on Valkey retrieve from Qdrant": (f"{WORKER}::with_a_model_the_answer_is_the_models_and_cites",),
    "`make run` starts the whole service": (f"{SERVICE}::a_question_is_answered_with_document_and_page",),
    "The same over HTTP": (f"{SERVICE}::a_question_is_answered_with_document_and_page",),
    "It never blocks": ("integration/app/test_pipelined::a_valkey_that_does_not_answer_is_given_up",),
    "`POST /chat` writes one job to Valkey.": (f"{JOBS}::the_same_key_and_body_are_the_same_job",),
    "The API holds no index and no model client.": (
        "unit/test_imports::the_api_holds_neither_index_nor_model_nor_documents_library",
    ),
    "It never loses a job": ("acceptance/test_drills::a_drill_meets_its_aim",),
    "RQ's record in Valkey is the one truth": (
        f"{SERVICE}::a_second_start_finds_everything_where_it_was",
        f"{SERVICE}::a_killed_service_takes_its_children_with_it_and_starts_again",
    ),
    "The jobs of a killed worker are run by another": (
        f"{WORKER}::a_dead_workers_job_is_run_again",
        f"{WORKER}::a_failure_that_a_retry_may_help_is_tried_again",
        f"{JOBS}::a_full_queue_is_a_503_and_readiness_says_so",
    ),
    "It never invents a source": (
        "unit/worker/answer/test_citations::a_quote_that_does_not_stand_there_is_no_citation",
        "unit/worker/answer/test_citations::numbers_that_point_at_no_source_are_removed",
        f"{SERVICE}::a_question_about_nothing_in_the_documents_is_not_grounded",
        f"{WORKER}::when_nothing_is_found_the_model_is_not_called",
    ),
    "| poll |": (f"{WAITING}::a_wait_that_is_over_says_so",),
    "| wait |": (f"{WAITING}::prefer_wait_answers_with_the_result", f"{WAITING}::a_result_is_waited_for"),
    "| stream |": (
        f"{WAITING}::a_stream_resumes_after_any_event_and_then_has_nothing_more",
        f"{WAITING}::two_replicas_show_the_same_events",
    ),
    "| be told |": ("integration/worker/test_webhooks::the_news_of_a_finished_job_are_signed_and_hold_its_result",),
    "| ask twice, pay once |": (f"{JOBS}::the_same_key_and_body_are_the_same_job",),
    "| ask again |": (
        "integration/worker/test_shared_answers::a_thousand_identical_questions_at_once_make_one_call",
        "integration/worker/test_kept_answers::the_same_question_gets_the_same_answer_without_the_model_or_a_worker",
        "integration/worker/test_kept_answers::after_every_change_of_the_collection_the_question_is_answered_anew",
        "integration/worker/test_kept_answers::no_cache_makes_it_anew_and_no_store_leaves_what_is_kept",
        "integration/worker/test_semantic_cache::another_wording_gets_the_answer_and_is_told_whose_it_is",
        "integration/worker/test_semantic_cache::the_same_words_do_not_hit_below_the_cosine",
        "unit/worker/answer/test_same_question::what_asks_for_something_else_is_another_question_whatever_a_model_says",
    ),
    "| stop |": (
        f"{WORKER}::a_cancelled_job_that_waits_never_runs",
        f"{JOBS}::a_removed_job_leaves_nothing",
        "security/test_tenants::who_makes_a_kind_of_job_stops_it_and_nobody_less",
    ),
    "| search alone |": ("integration/worker/test_events::a_search_finds_chunks_and_calls_no_model",),
    "| go on |": (
        f"{CONVERSATIONS}::turns_are_kept_in_the_order_of_asking_with_their_citations",
        f"{CONVERSATIONS}::a_follow_up_is_put_in_other_words_by_the_model_and_searched_for",
        f"{CONVERSATIONS}::without_a_model_the_words_of_the_question_before_are_added",
    ),
    "| narrow |": (f"{SEARCH}::filters", f"{SEARCH}::tenants_and_collections_are_kept_apart"),
    "point any OpenAI client at `/v1`": (f"{OPENAI}::a_completion_is_the_answer_with_its_citations",),
    "Models are collections:": (f"{OPENAI}::each_collection_is_a_model",),
    "`rag-queue` is the default one": (f"{OPENAI}::a_model_asks_its_collection",),
    "The last user message is the question": (f"{OPENAI}::the_last_message_of_the_user_is_the_question",),
    "A system message and `instructions`": (
        "integration/app/test_openai_conversations::a_system_message_is_the_callers_instruction",
        "integration/app/test_openai_conversations::instructions_of_a_response_come_first_and_are_shown",
        "integration/worker/test_openai_worker::earlier_messages_reach_the_model",
    ),
    "read with the six turns before it": (
        "integration/app/test_openai_conversations::a_long_chat_is_read_from_its_last_six_turns",
        "integration/worker/test_openai_worker::earlier_messages_reach_the_model",
    ),
    "`conversation` names one that is kept": (
        "integration/worker/test_openai_conversations::a_conversation_is_made_asked_in_read_and_deleted",
    ),
    "`previous_response_id` continues a response, and may fork": (
        "integration/app/test_openai_conversations::a_response_continues_another_with_all_that_was_said_before",
        "integration/app/test_openai_conversations::a_chain_forks_and_each_branch_is_its_own",
    ),
    "`/v1/files` and `/v1/batches` answer": (
        f"{BATCHES}::the_official_package_drives_a_batch_from_its_file_to_its_answers",
        "unit/app/batches/test_lines::more_lines_than_a_batch_may_have_are_refused",
    ),
    "What a chat client asks for itself": (
        "acceptance/clients/test_open_webui::a_request_of_open_webui_gets_what_it_can_use",
        "integration/worker/test_openai_worker::a_clients_task_is_done_by_the_model_without_any_source",
        f"{OPENAI}::without_a_model_a_task_is_refused_with_an_empty_answer",
    ),
    "A client that leaves before the answer's end": (
        "integration/app/test_disconnects::who_leaves_stops_a_job_that_runs",
        "integration/app/test_disconnects::a_job_that_somebody_may_come_for_goes_on",
        "integration/app/test_disconnects::the_operator_may_let_every_job_go_on",
    ),
    "`make clients` runs OpenAI's SDKs": (
        "acceptance/clients/test_clients::a_client_shows",
        "acceptance/clients/test_open_webui::a_request_of_open_webui_gets_what_it_can_use",
    ),
    "A worker asks for the models once at its start": (
        "integration/worker/test_model_check::a_base_url_without_v1_is_told_with_the_right_one",
        "integration/worker/test_model_check::what_is_wrong_is_said_in_one_line_with_the_address_and_without_credentials",
        "integration/worker/test_model_check::a_worker_works_beside_it_and_readyz_shows_it_and_stays_ready",
    ),
    "Citations come as `annotations`": (f"{OPENAI}::a_completion_is_the_answer_with_its_citations",),
    "No link or image of a model's making": (
        "unit/worker/answer/test_sanitize::no_renderer_finds_a_link_an_image_or_html_in_it",
        "unit/worker/answer/test_sanitize::what_could_be_followed_is_reduced_to_its_text",
    ),
    "Take the final answer over the deltas": (
        "unit/worker/answer/test_citations::a_quote_that_does_not_stand_there_is_no_citation",
    ),
    "then open `http://localhost:8000/`.": (
        f"{PAGE}/test_views::a_question_to_try_leads_to_the_sentence_that_proves_it",
    ),
    "![An answer beside the page that proves it]": (f"{README}::every_link_to_a_file_leads_somewhere",),
    "- **Ask**: the answer as it is written": (
        f"{PAGE}/test_streaming::every_word_is_written_once",
        f"{PAGE}/test_asking::an_answer_has_its_sources_and_an_address_of_its_own",
    ),
    "A click on a source opens the page beside the answer": (
        f"{PAGE}/test_reading::the_quote_is_marked_on_the_pages_picture_and_in_its_words",
        f"{PAGE}/test_reading::the_mark_is_over_the_words_of_the_picture",
        f"{PAGE}/test_reading::what_is_not_marked_is_said",
    ),
    "The address is the job's from the first second": (
        f"{PAGE}/test_streaming::a_reload_in_mid_stream_goes_on_from_the_first_word",
        f"{PAGE}/test_streaming::another_tab_reads_along_from_the_first_word",
        f"{PAGE}/test_away::a_service_that_was_killed_goes_on_and_is_asked_once",
    ),
    "Ask on under an answer": (
        f"{PAGE}/test_conversations::a_question_under_an_answer_goes_on_from_it",
        f"{PAGE}/test_conversations::its_address_shows_it_to_a_reload_and_to_another_browser",
    ),
    "Say whether an answer was good": (
        f"{PAGE}/test_rating::a_rating_is_kept_shown_and_changed",
        f"{PAGE}/test_rating::what_was_wrong_may_be_said_by_keys_alone",
        f"{PAGE}/test_rating::without_a_chat_log_nobody_is_asked",
    ),
    "- **Documents**: drop files or a folder.": (
        f"{PAGE}/test_documents::what_is_dropped_anywhere_on_the_page_is_taken",
        f"{PAGE}/test_documents::a_folder_is_taken_whole_and_two_files_of_one_name_stay_two",
    ),
    "Each tells how far its upload": (
        f"{PAGE}/test_documents::indexing_shows_its_pages_and_can_be_stopped",
        f"{PAGE}/test_documents::a_file_that_cannot_be_read_says_why_and_what_to_do",
    ),
    "- **Watch**, for operators": (
        f"{PAGE}/test_watching::queues_and_processes_are_shown_with_their_last_hour",
        f"{PAGE}/test_watching::failed_jobs_are_chosen_by_filter_and_sent_back_or_deleted",
        f"{PAGE}/test_watching::a_job_is_shown_step_by_step",
    ),
    "The API serves it: no build step": (
        "unit/app/pages/test_assets::all_together_are_small",
        f"{PAGE}/test_views::a_view_can_be_read_by_everyone_and_fits",
    ),
    "It asks nothing that you cannot ask over HTTP:": (
        "integration/app/test_document_pages::a_page_tells_where_the_quote_stands_on_its_picture",
    ),
    "has the boxes of a quote.": (
        "integration/app/test_document_pages::a_page_tells_where_the_quote_stands_on_its_picture",
    ),
    "a key is typed once and exchanged": (
        f"{PAGE}/test_signing_in::a_key_is_asked_for_at_once_and_kept_nowhere",
        f"{PAGE}/test_signing_in::with_its_key_a_session_ends",
        "security/test_sessions::signing_in_sets_a_cookie_that_no_script_and_no_other_site_gets",
        "security/test_sessions::a_key_that_is_gone_or_may_less_ends_or_lowers_its_sessions",
    ),
    "PDF, .docx, .pptx, .xlsx": (
        "unit/test_formats::every_format_is_named_where_formats_are_listed",
        "security/test_hostile_document::a_hostile_document_ends_with_a_reason_or_is_read_and_the_next_one_goes_on",
    ),
    "They are read as people see them": (
        "unit/ingest/reading/pdf/layout/test_tables::a_table_is_read_as_rows_however_it_is_drawn",
        "unit/ingest/reading/pdf/test_annotations::a_filled_field_is_a_line_with_its_label",
        "unit/ingest/reading/pdf/layout/test_prose::columns_that_were_drawn_across_are_read_one_after_the_other",
        "unit/ingest/reading/pdf/test_raised::a_line_is_read_as_people_read_it",
        "unit/ingest/reading/test_docx::a_table_is_read_by_rows",
        "unit/ingest/reading/test_html::a_table_is_read_by_rows",
    ),
    "A word broken at a line's end is found whole": (
        "unit/ingest/reading/pdf/test_line_ends::a_broken_word_is_found_whole",
        "unit/ingest/reading/pdf/test_line_ends::a_sentence_over_a_page_s_end_is_quoted_whole_and_cites_both_pages",
    ),
    "A PDF's portfolio is read by its attachments": (
        "unit/ingest/reading/test_portfolio::the_attachments_are_read_in_the_cover_s_place",
        "unit/ingest/reading/pdf/test_garbage::a_page_without_a_character_map_is_missing",
    ),
    "Each file is read by a child process": (
        "unit/ingest/reading/test_hostile::a_hostile_file_ends_with_its_code_or_is_read",
        "unit/ingest/reading/test_pool::a_child_that_hangs_is_killed",
        "security/test_hidden_text::words_that_are_hidden_on_a_pdf_s_page_are_not_read",
        "security/test_hidden_text::words_that_are_hidden_in_another_format_are_not_read",
        "security/test_hidden_text::words_that_only_look_hidden_are_read",
    ),
    "Pages that could not be read are named": (
        f"{INGEST}::files_of_other_kinds_are_named_fail_nothing_and_are_refused_as_arguments",
        "unit/ingest/reading/test_pool::of_half_a_file_the_rest_is_read_and_the_missing_pages_are_named",
    ),
    "A link in the folder that leads outside": (
        "security/test_links::the_command_reports_it_and_indexes_none_of_it",
    ),
    "`OCR=true` reads scans": ("unit/ingest/reading/test_ocr::a_scan_is_read_through_ocr_and_keeps_its_own_hash",),
    "Each document is added, unchanged, updated": (
        f"{INGEST}::a_folder_is_indexed_with_an_embedded_qdrant_and_every_bad_file_is_reported",
        "unit/ingest/sync/test_plan::a_new_file_is_added_a_changed_one_updated_and_the_rest_kept",
    ),
    "`--prune` removes what left": (
        f"{INGEST}::two_folders_with_the_same_names_stand_side_by_side_and_prune_only_their_own",
    ),
    "`--queue` shares a large folder": (
        "acceptance/test_ingest_queue::workers_index_the_folder_and_the_command_tells_what_became_of_each_file",
    ),
    "`python -m ingest export FILE` and `import FILE` move an index": (
        f"{MOVE}::an_index_moves_with_vectors_files_and_titles_and_nothing_is_embedded",
    ),
    "`--watch` follows a folder": (
        f"{WATCH}::the_command_goes_on_until_it_is_told_to_end",
        f"{WATCH}::a_folder_in_a_store_is_followed_and_only_what_changed_is_fetched",
    ),
    "`python -m app backup FILE` keeps all": ("acceptance/test_backup::all_is_back_after_data_dir_was_deleted",),
    "`--repair` rebuilds the catalog": (f"{INGEST_JOBS}::repair_brings_the_catalog_back_from_the_index",),
    "`--dry-run` says what would happen": (
        f"{INGEST}::a_dry_run_tells_the_same_and_writes_nothing",
        f"{SEARCH}::tenants_and_collections_are_kept_apart",
    ),
    "Exit code 1: a file failed": (
        f"{INGEST}::a_folder_is_indexed_with_an_embedded_qdrant_and_every_bad_file_is_reported",
        "unit/ingest/test_command::bad_usage_is_one_line_and_exit_2",
    ),
    "a document is the file of one name in one collection": (
        "unit/app/routes/test_documents::other_bytes_under_the_same_name_replace_the_document_and_its_file",
    ),
    "shows how far its indexing is": (
        "unit/app/routes/test_documents::what_the_worker_reports_is_shown",
        "integration/app/test_documents::a_document_is_uploaded_indexed_shown_and_deleted",
    ),
    "`PUT /collections/{name}` with `title`": (
        f"{COLLECTIONS}::what_is_said_of_a_collection_is_read_again_and_replaced",
    ),
    "Its instructions are told to the model below": (
        f"{SAID}::its_instructions_stand_below_the_rules_between_the_operators_and_the_callers",
        f"{SAID}::instructions_cannot_take_the_place_of_the_rules_nor_of_anything_else",
        f"{SAID}::what_was_answered_before_it_was_said_is_not_given_again",
        f"{SAID}::its_top_k_holds_where_the_question_says_none",
    ),
    "`GET /collections` lists what there is": (
        f"{COLLECTIONS}::documents_and_chunks_are_counted_through_every_change_of_the_catalog",
        f"{COLLECTIONS}::the_embedding_model_is_the_one_whose_vectors_are_there",
        f"{COLLECTIONS}::the_version_changes_with_content_and_with_what_is_said",
    ),
    "Files are kept under `DOCUMENTS_URL`": (
        "unit/app/core/documents/test_files::a_file_comes_back_by_its_hash",
        "unit/app/core/documents/test_files::unless_set_files_are_kept_in_the_data_folder",
    ),
    "What is only near is no answer": ("acceptance/test_first_questions::what_stands_nowhere_is_not_grounded",),
    "Without one, answers are the documents' own sentences": (
        "acceptance/test_first_questions::the_first_questions_are_answered_with_document_and_page",
        f"{WORKER}::without_a_model_a_question_is_answered_in_the_documents_words",
    ),
    "With one, they are the model's:": (f"{WORKER}::with_a_model_the_answer_is_the_models_and_cites",),
    "`CHAT_MODEL=anthropic:claude-haiku-4-5`": (
        "unit/worker/model/test_langchain_chat::anthropics_answer_comes_in_pieces_with_its_model_and_its_tokens",
        "unit/worker/model/test_langchain_client::a_chat_provider_without_its_package_is_an_error_that_names_it",
    ),
    "`EMBEDDING_MODEL` likewise.": (
        "unit/worker/model/test_langchain_embeddings::ollama_embeds_a_question_and_texts_in_order",
    ),
    "Unset, it is `text-embedding-3-small` at OpenAI": (
        "unit/app/core/test_embedding_default::without_a_name_the_place_says_which",
        "integration/worker/test_choice::the_listed_one_is_chosen_once_said_once_and_told_to_the_others",
        "integration/worker/test_choice::several_are_not_clear_and_the_line_names_them",
        "acceptance/test_model_set_later::a_base_url_alone_is_enough",
    ),
    "`EMBEDDING_MODEL=local` needs neither key nor server:": (
        "acceptance/test_local_model::warranty_finds_guarantee_from_a_file_to_an_answer",
        "integration/worker/test_local_embeddings::without_the_extra_it_says_what_to_install",
    ),
    "`none` keeps words alone.": ("integration/worker/test_local_embeddings::none_keeps_words_alone",),
    "Your own LangChain code can search the same index:": ("integration/worker/test_langchain_store::the_page_runs",),
    "With an embedding model retrieval is hybrid": (f"{WORKER}::with_an_embedding_model_retrieval_is_hybrid",),
    "BM25 and vectors, fused (`FUSION`).": (f"{SEARCH}::each_fusion_finds_the_page",),
    "`dbsf` and `rrf` search once.": (
        "integration/worker/test_feedback::only_the_convex_fusion_of_both_halves_has_a_second_round",
    ),
    "`convex`, the default, searches a second time": (
        "integration/worker/test_feedback::only_the_convex_fusion_of_both_halves_has_a_second_round",
        "integration/worker/test_feedback::a_page_that_says_what_the_best_hits_say_comes_nearer",
    ),
    "The index remembers its embedding model": (
        f"{SEARCH}::where_the_vectors_are_another_model_s_words_are_searched_by",
    ),
    "Set another one, or the first, and start again:": (
        "acceptance/test_model_set_later::the_next_question_is_answered_and_soon_by_meaning",
        "acceptance/test_model_set_later::no_question_fails_while_a_large_index_is_re_embedded_and_that_is_killed",
        f"{REEMBED}::killed_ten_times_it_goes_on_and_loses_nothing",
    ),
    "`make run` does it by itself up to 2,000 chunks.": (
        "acceptance/test_model_set_later::the_next_question_is_answered_and_soon_by_meaning",
        "acceptance/test_model_set_later::no_question_fails_while_a_large_index_is_re_embedded_and_that_is_killed",
    ),
    "A question that names a file looks there first.": (
        f"{SEARCH}::a_question_that_names_a_file_finds_that_file_first",
    ),
    "`RERANK_URL` adds a reranker": (f"{SEARCH}::a_rerank_endpoint_scores_each_text",),
    "`python -m benchmarks.retrieval FOLDER`": (
        "integration/test_retrieval_benchmark::bm25_alone_finds_the_small_set",
        "integration/test_retrieval_benchmark::pages_of_pdfs_are_judged",
    ),
    "`--from-log --rating down` asks": (
        "acceptance/test_answers_benchmark::the_running_services_log_is_asked_again",
    ),
    "`python -m benchmarks.answers FILE`": (
        "acceptance/test_answers_benchmark::pages_words_refusals_and_the_exit_status",
        "acceptance/test_answers_benchmark::what_has_changed_since_a_former_run_is_said",
    ),
    "HTTPS_PROXY, HTTP_PROXY and NO_PROXY are heeded": (
        "integration/test_proxies::every_way_goes_through_the_proxy",
        "integration/test_proxies::every_place_that_opens_connections_is_among_the_ways",
    ),
    "Settings come from the environment or `.env`": (
        "unit/app/core/test_settings::example_and_settings_name_the_same_variables_with_the_same_defaults",
    ),
    "lists every one with its default": (
        "unit/app/core/test_settings::example_and_settings_name_the_same_variables_with_the_same_defaults",
    ),
    "Without keys the service serves its own machine alone": (
        "unit/app/auth/test_dependencies::without_keys_every_other_address_is_a_403_that_names_the_remedy",
        "acceptance/test_credentials::the_service_does_not_start_for_others_without_keys",
        "security/test_without_keys::what_did_not_come_from_this_machine_is_refused_on_every_route",
    ),
    "Put no proxy before it without keys": (
        "security/test_without_keys::behind_nginx_nobody_is_the_admin_without_a_key",
    ),
    "Other users of the machine reach neither": (
        "security/test_local_user::another_user_reads_neither_files_nor_ports_nor_processes",
        "security/test_local_user::nothing_beneath_data_dir_is_for_others",
    ),
    "Who asks is known before a body is read.": (
        "security/test_admission::who_shows_no_good_key_is_refused_with_the_body_unread",
    ),
    "A header ends at 64 KiB": (
        "security/test_network_client::a_header_too_large_is_a_431_long_before_its_end",
        "security/test_network_client::who_says_nothing_more_is_let_go_while_those_who_wait_for_us_are_not",
        "security/test_network_client::one_address_has_so_many_connections_and_another_is_served",
    ),
    "Where there are several tenants, each has its turn": (
        "integration/worker/test_fair_queue::who_comes_new_is_next_however_many_of_another_wait",
        "security/test_tenants::every_job_has_its_turn_by_the_weight_of_the_key_that_asked",
        "security/test_tenants::what_is_asked_at_low_priority_stands_behind_what_is_not",
        "security/test_tenants::a_flood_of_one_tenant_takes_half_of_a_queue_and_leaves_the_other",
        "security/test_tenants::a_key_that_has_as_much_open_as_it_may_is_told_of_what",
        "security/test_tenants::a_tenant_has_so_many_documents_and_is_told",
        "security/test_tenants::a_tenant_has_so_many_bytes_and_is_told",
    ),
    "With them:": ("acceptance/test_credentials::a_service_with_keys_answers_those_who_show_one",),
    "A key has a tenant, a role": (
        f"{ISOLATION}::nobody_but_the_owner_finds_the_thing",
        f"{ISOLATION}::a_route_is_for_its_role_and_those_above",
        "unit/app/auth/test_rate_limits::a_key_over_its_rate_is_a_429_that_says_when_to_come_back",
    ),
    "JWTs do the same": ("unit/app/auth/test_jwt::a_token_stands_for_its_subject_tenant_and_role",),
    "Rates answer with `RateLimit` headers": (
        "unit/app/auth/test_rate_limits::a_key_over_its_rate_is_a_429_that_says_when_to_come_back",
        "unit/app/middleware/test_middleware::where_a_rate_applies_every_response_says_where_the_client_stands",
    ),
    "Behind a proxy set keys and `TRUSTED_PROXIES`": (
        "unit/app/middleware/test_middleware::a_trusted_proxy_is_believed_and_only_for_what_it_added",
        f"{DEPLOYMENT}::the_api_listens_for_all_and_so_is_not_started_without_keys_nor_believes_who_says_to_be_a_proxy",
    ),
    "Links are right under a prefix": ("integration/app/test_links::every_link_of_every_response_leads_back",),
    "A person has no": ("integration/app/test_links::a_citations_link_opens_the_file_without_a_key",),
    "the link of a citation opens its file": (
        "integration/app/test_links::a_citations_link_opens_the_file_without_a_key",
        "security/test_signed_links::a_ticket_opens_its_job_and_no_other",
        "security/test_signed_links::a_ticket_expires",
    ),
    "Pages named in `CORS_ORIGINS`": ("unit/app/middleware/test_cors::the_page_may_send_what_its_client_sends",),
    "Operators (role `admin`) see": (
        f"{JOBS}::failed_jobs_are_listed_sent_back_and_removed",
        f"{JOBS}::queues_show_depth_age_and_workers",
        f"{PAGE}/test_watching::failed_jobs_are_chosen_by_filter_and_sent_back_or_deleted",
    ),
    "`make run` takes the standard ports": (f"{SERVICE}::env_prints_where_the_services_are",),
    "Its Valkey and Qdrant let in nobody": (
        "security/test_local_user::valkey_answers_no_command_without_the_password",
        "security/test_local_user::qdrant_answers_no_route_without_the_key_and_before_it_reads",
    ),
    "they let in `rq worker`": ("security/test_local_user::what_env_prints_opens_everything_word_for_word",),
    "find the secrets by themselves": (
        "security/test_local_user::commands_beside_the_service_find_the_secrets_in_data_dir",
    ),
    "With `REDIS_URL` and `QDRANT_URL` set": (f"{MODES}::each_way_to_run_a_worker_answers",),
    "`uvicorn --http app.server:HttpProtocol": (f"{MODES}::each_way_to_run_a_worker_answers",),
    "`docker compose` wants a key and passwords": (
        f"{DEPLOYMENT}::the_api_listens_for_all_and_so_is_not_started_without_keys_nor_believes_who_says_to_be_a_proxy",
        f"{DEPLOYMENT}::no_secret_has_a_default_and_each_says_how_to_make_it",
    ),
    "`make env` makes those that are not there": (
        "unit/app/cli/test_env_file::a_new_file_has_all_that_is_needed_and_is_its_owners_alone",
        "unit/app/cli/test_env_file::what_stands_there_stays_word_for_word_and_only_the_rest_is_added",
    ),
    "`docker compose run --rm ingest`": (f"{DEPLOYMENT}::each_command_exists",),
    "[The Helm chart]": (
        f"{CHART}::every_variable_and_command_exists_in_the_code",
        f"{CHART}::every_object_is_what_kubernetes_expects",
        f"{CHART}::keda_counts_what_waits_and_what_runs_where_rq_keeps_it",
    ),
    "`docker compose --profile edge up -d`": (
        f"{DEPLOYMENT}::behind_nginx_are_two_replicas_that_publish_nothing_and_believe_it_alone",
        "acceptance/edge/test_limits::an_address_has_sixty_requests_and_another_its_own",
        "acceptance/edge/test_passing::tls_is_spoken_and_http_is_sent_there",
    ),
    "[a first hour]": ("acceptance/test_tutorial::every_command_works_and_tells_what_the_page_says",),
    "[every setting]": (
        "unit/test_reference::a_page_is_what_the_code_says",
        "unit/test_simulation::the_page_shows_what_the_simulation_prints",
    ),
    "`GET /healthz` says": (f"{SERVICE}::readiness_names_the_child_that_is_away",),
    "With RQ_WORKER_CLASS=worker.ConcurrentWorker": (
        f"{MODES}::each_way_to_run_a_worker_answers",
        f"{DEPLOYMENT}::the_image_makes_every_rq_worker_ours",
        f"{SERVICE}::env_prints_where_the_services_are",
    ),
    "Our workers run this service's own jobs": (f"{OWN_JOBS}::what_is_none_of_ours_is_not_called_and_fails",),
    "A stock worker does so with": (
        f"{OWN_JOBS}::what_is_none_of_ours_is_not_called_and_fails",
        f"{MODES}::each_way_to_run_a_worker_answers",
    ),
    "with neither variable it unpickles": (f"{OWN_JOBS}::a_stock_worker_calls_what_it_is_told",),
    "it trusts whoever can write": (f"{OWN_JOBS}::a_stock_worker_calls_what_it_is_told",),
    "One worker process keeps WORKER_CONCURRENCY": (f"{WORKER}::questions_wait_for_the_model_side_by_side",),
    "WORKER_PROCESSES (or `python -m worker --processes auto`) starts one for each core": (
        "acceptance/test_worker_processes::a_killed_process_is_started_again_and_no_question_is_lost",
        "acceptance/test_metrics::the_service_and_its_workers_have_a_port_each",
        "unit/app/core/test_worker_processes::auto_is_a_process_for_each_core",
    ),
    "On SIGTERM a worker takes no new ones": (
        f"{WORKER}::a_stop_lets_running_questions_finish_and_leaves_the_rest_queued",
        f"{WORKER}::when_the_grace_is_over_running_jobs_go_back_on_the_queue",
    ),
    "are one budget for all workers": (
        f"{WORKER}::calls_in_flight_never_exceed_the_budget_of_all_workers",
        f"{WORKER}::requests_beyond_the_budget_wait_in_the_queue_in_their_order",
        f"{WORKER}::tokens_beyond_the_budget_keep_jobs_in_the_queue",
    ),
    "`make drill` kills, stops and starves": ("acceptance/test_drills::a_drill_meets_its_aim",),
    "`/docs` has the models": (
        "integration/app/test_openapi::each_operation_names_its_errors_and_has_an_example",
        "unit/app/openapi/test_problems::the_description_is_a_table_of_every_type",
    ),
    "| `app/` |": ("unit/test_imports::the_api_holds_neither_index_nor_model_nor_documents_library",),
    "| `app/core/` |": ("unit/test_imports::of_the_api_only_the_kernel_may_be_imported",),
    "| `worker/` |": (f"{README}::every_folder_of_the_three_packages_is_explained",),
    "| `ingest/` |": (f"{README}::every_folder_of_the_three_packages_is_explained",),
    "- **Metrics**:": (
        "acceptance/test_metrics::the_service_and_its_workers_have_a_port_each",
        "integration/app/test_metrics::the_page_is_for_admins_whether_or_not_there_is_one",
    ),
    "Queues, workers and the model's budget are read from Valkey": (
        "integration/app/test_metrics::every_family_is_on_the_page_after_real_traffic",
        "integration/app/test_metrics::a_stock_worker_is_one_with_rqs_own_counts",
        "integration/worker/test_worker_metrics::every_family_counts_what_has_happened",
    ),
    "No label is an id": (
        "integration/app/test_metrics::no_label_grows_with_what_strangers_send_or_write",
        "integration/worker/test_worker_metrics::what_others_write_is_in_no_label",
    ),
    "- **Traces**:": ("acceptance/test_traces::one_question_is_one_trace",),
    "- **Logs**:": (
        "integration/worker/test_log_lines::every_line_from_its_start_to_its_end_says_whose_it_is",
        "acceptance/test_logs::one_grep_follows_a_question_from_its_post_to_the_news_of_its_answer",
    ),
    "No question, answer, key or file content stands there": (
        "acceptance/test_logs::nothing_that_is_anybodys_stands_in_the_logs",
        "acceptance/test_logs::with_log_content_questions_and_answers_are_logged_and_secrets_are_not",
    ),
    "- **Chat log**:": (
        "integration/app/chat_log/test_log::an_answer_is_a_row_with_all_that_is_known_of_it",
        "integration/app/chat_log/test_history_api::what_is_said_of_an_answer_stands_beside_it_and_may_be_changed",
        "integration/app/chat_log/test_log::without_content_no_word_of_it_reaches_the_database",
        "integration/app/chat_log/test_export::the_embedded_log_is_found_in_data_dir",
    ),
    "Its database may be away:": (
        "integration/app/chat_log/test_log::a_database_that_is_away_delays_loses_nothing_and_is_told_once",
        "integration/app/chat_log/test_history_api::with_the_database_away_questions_are_answered_and_the_log_says_when_to_come_back",
    ),
    "- **Tokens and money**:": ("integration/app/test_usage::rows_are_by_day_tenant_and_model_with_what_they_cost",),
    "`GET /usage` counts each answer once": (
        "integration/worker/test_usage::a_killed_workers_job_counts_once_when_another_has_answered_it",
        "integration/worker/test_usage::what_is_tried_again_after_a_429_counts_once",
    ),
    "MODEL_PRICES makes money of it.": (
        "integration/app/test_usage::rows_are_by_day_tenant_and_model_with_what_they_cost",
    ),
    "A key with `tokens=100000/day`": (
        "integration/app/test_usage::whoever_has_used_it_up_is_told_when_it_ends_whatever_they_ask",
        "integration/app/test_usage::a_day_and_a_month_end_at_midnight_of_utc",
    ),
    "An admin of the tenant `default` sees all tenants": (
        "integration/app/test_usage::who_runs_the_service_sees_all_and_everyone_else_their_own",
    ),
    "Off is off: what counts and what traces is not loaded then.": (
        "unit/test_imports::the_api_imports_what_counts_for_prometheus_only_where_it_counts",
        "integration/worker/test_worker_metrics::without_a_port_nothing_that_counts_is_imported",
        "unit/app/core/tracing/test_process::off_nothing_that_traces_is_imported",
        "unit/test_monitoring::every_row_of_the_tables_is_a_metric_and_every_metric_has_its_row",
        "unit/test_monitoring::every_alert_has_its_runbook_and_every_runbook_its_alert",
    ),
    "| 429 `urn:problem:token-budget` |": (
        "integration/app/test_usage::whoever_has_used_it_up_is_told_when_it_ends_whatever_they_ask",
    ),
    "| `tests/`, `benchmarks/` |": (f"{README}::every_make_target_that_is_named_exists",),
    "| `docs/decisions/` |": (f"{README}::every_decision_is_in_the_index",),
    "`DELETE /tenants/{tenant}` erases all that a tenant has": (
        "acceptance/test_erasing::no_store_holds_a_word_of_an_erased_tenant",
        "integration/ingest/test_erase_job::every_store_is_emptied_for_the_tenant_alone",
        "integration/ingest/test_erase_job::who_is_not_of_the_tenant_erases_nothing",
    ),
    "import-linter keeps it so": ("unit/test_imports::of_the_api_only_the_kernel_may_be_imported",),
    "The embedded Qdrant is": ("integration/app/embedded/qdrant/test_queries::searches_agree",),
    "has every folder, and which file": (f"{README}::every_folder_of_the_three_packages_is_explained",),
    "[docs/security.md](docs/security.md) what is promised": (
        "security/test_table::as_much_is_tried_as_the_table_says",
    ),
    "[CHANGELOG.md](CHANGELOG.md) what changed.": (f"{README}::every_link_to_a_file_leads_somewhere",),
    "`make help` lists every command": (f"{DEPLOYMENT}::each_make_target_is_explained",),
    "| 503 `urn:problem:queue-full` |": (f"{JOBS}::a_full_queue_is_a_503_and_readiness_says_so",),
    "| 503 `urn:problem:queue-unavailable` |": (f"{SERVICE}::readiness_names_the_child_that_is_away",),
    "| 429 `urn:problem:queue-share-full` |": (
        "security/test_tenants::a_flood_of_one_tenant_takes_half_of_a_queue_and_leaves_the_other",
    ),
    "| 429 `urn:problem:limit-reached` |": (
        "security/test_tenants::a_key_that_has_as_much_open_as_it_may_is_told_of_what",
    ),
    "| 503 `urn:problem:queue-not-replicated` |": (
        "integration/test_valkey_addresses::a_question_is_taken_when_a_replica_has_it",
    ),
    "| 503 `urn:problem:queue-memory-full` |": (
        "security/test_full_memory::every_route_says_so_or_does_what_it_does",
    ),
    "| a job stays `queued` |": (f"{JOBS}::queues_show_depth_age_and_workers",),
    "| a job has `failed` |": (f"{JOBS}::failed_jobs_are_listed_sent_back_and_removed",),
    "| `warnings` in `/readyz` |": (
        "integration/worker/test_model_check::a_worker_works_beside_it_and_readyz_shows_it_and_stays_ready",
        "integration/worker/test_model_check::what_is_wrong_is_said_in_one_line_with_the_address_and_without_credentials",
    ),
    "| `retrieval` is `words` though there is an EMBEDDING_MODEL": (
        "acceptance/test_model_set_later::no_question_fails_while_a_large_index_is_re_embedded_and_that_is_killed",
        f"{REEMBED}::every_chunk_gets_a_vector_and_is_else_as_it_was",
    ),
    "| `index_mismatch` |": (
        f"{REEMBED}::a_vector_of_another_length_under_the_same_name_is_a_migration_as_well",
        "integration/worker/test_embedding_manners::a_collection_made_anew_with_another_length_is_taken_as_it_is",
    ),
    "| `grounded` is false |": (
        "unit/worker/answer/test_citations::grounded_is_an_answer_of_which_every_citation_holds",
        "integration/worker/test_events::a_search_finds_chunks_and_calls_no_model",
    ),
    "| a document is not found |": (
        "integration/app/test_documents::a_file_that_can_not_be_read_fails_with_its_reason",
    ),
    "| 403 `urn:problem:keys-required` |": (
        "unit/app/auth/test_dependencies::without_keys_every_other_address_is_a_403_that_names_the_remedy",
    ),
    "| the port or DATA_DIR is taken |": (
        f"{SERVICE}::a_port_in_use_is_said_with_the_way_out",
        f"{SERVICE}::a_data_dir_in_use_is_said_with_the_way_out",
    ),
    "MIT: [LICENSE](LICENSE).": (f"{README}::every_link_to_a_file_leads_somewhere",),
}
"""A piece of the sentence that no other sentence has, and the tests that fail when it is no longer so."""


def _sentences(text: str) -> list[str]:
    """Sentences, items and rows of tables; without headings, code, and the routes, which have a test of their own."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    found: list[str] = []
    for block in (part.strip() for part in re.split(r"\n\s*\n", prose)):
        if block.startswith("|"):
            found += [row for row in block.splitlines()[2:] if not re.match(r"\| `(GET|POST|PUT|DELETE) /", row)]
        elif block and not block.startswith("#"):
            for item in re.split(r"\n(?=- )", block):
                found += re.split(r"(?<=[.:;!?])\s+(?=[A-Z`*])", " ".join(item.split()))
    return found


@cache
def _tests_of(path: Path) -> frozenset[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


SENTENCES = _sentences((ROOT / "README.md").read_text())


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_is_held_by_a_test(sentence: str) -> None:
    assert [piece for piece in PROMISES if piece in sentence] != [], "no test holds this: write one, or drop it"


@pytest.mark.parametrize("piece", PROMISES)
def test_what_holds_a_sentence_exists(piece: str) -> None:
    assert len([sentence for sentence in SENTENCES if piece in sentence]) == 1
    for name in PROMISES[piece]:
        path, _, test = name.partition("::")
        assert f"test_{test}" in _tests_of(ROOT / "tests" / f"{path}.py"), name


def test_a_sentence_that_nobody_holds_is_found() -> None:
    assert _sentences("# Title\n\nOne. Two\nlines.\n\n- An item.\n\n| a |\n|---|\n| row |\n| `GET /x` | y |") == [
        *("One.", "Two lines.", "- An item.", "| row |"),
    ]
