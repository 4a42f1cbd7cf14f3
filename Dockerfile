# One image for the API, the worker and ingest.
FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
COPY requirements.lock .
RUN /venv/bin/pip install --require-hashes --only-binary=:all: -r requirements.lock

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /srv --shell /usr/sbin/nologin rag && install -d -o rag /documents
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# So `rq worker rag_queries` is the worker that runs this service's own jobs and nothing else.
ENV RQ_WORKER_CLASS=worker.ConcurrentWorker RQ_JOB_CLASS=worker.OwnJob RQ_CONNECTION_CLASS=app.core.queue.connections.ValkeyClient
# And so that every `uvicorn` reads HTTP within the limits of `app.server`.
ENV UVICORN_HTTP=app.server:HttpProtocol
WORKDIR /srv
COPY --from=build /venv /venv
COPY app app
COPY worker worker
COPY ingest ingest
USER rag
EXPOSE 8000
CMD ["uvicorn", "--factory", "app.main:from_environment", "--host", "0.0.0.0", "--port", "8000",\
     "--no-access-log", "--no-proxy-headers"]
