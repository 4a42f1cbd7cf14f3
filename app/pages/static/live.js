// A job while it is alive: its stages in the line above, its words in the answer.

import * as answer from "./answer.js";
import { request } from "./api.js";
import { turnOf } from "./conversation.js";
import * as earlier from "./earlier.js";
import { list } from "./earlier_list.js";
import { follow } from "./follow.js";
import * as question from "./question.js";
import { signedIn } from "./session.js";
import * as stage from "./stage.js";

const LOOK_MS = 3000; // between two looks at the place in the queue

/** Show the job until it has ended. `leave()` of what this returns ends that before, `stop()` ends the job. */
export function live(id) {
  const mine = question.current();
  mine.jobId = id;
  question.begin();
  let timer, tell;
  const now = (telling) => { clearTimeout(timer); (tell = telling)(); };
  const over = () => { clearTimeout(timer); tell = null; };
  const ended = (telling) => { over(); question.end(telling); };
  const place = ({ position }) => {
    now(() => stage.queued(position));
    if (position !== null) timer = setTimeout(look, LOOK_MS, position);
  };
  const look = (position) => request(`/job-status/${id}`).then(
    (state) => { if (tell !== null && state.status === "queued") place(state); },
    () => { if (tell !== null) timer = setTimeout(look, LOOK_MS, position); });
  const signedOut = async () => {
    stage.say("Signed out");
    await signedIn();
    if (mine !== question.current()) return;
    question.restart();
    pursue(); // from the first word
  };
  let unfollow;
  const pursue = () => {
    unfollow = follow(id, {
      "job.queued": place,
      "job.started": () => { question.restart(); now(() => stage.say("Looking for passages")); },
      "retrieval.completed": ({ hits }) => { mine.passages = hits.length; now(() => stage.writing(hits.length)); },
      "answer.delta": ({ text }) => answer.write(text),
      "answer.completed": ({ result }) => ended(() => question.complete(result)),
      "job.failed": ({ error }) => ended(() => stage.failed(error, id)),
      "job.stopped": () => ended(() => stage.say("Stopped")),
      lost: (since) => stage.away(since),
      back: () => tell?.(),
      gone: (refusal) => (refusal.status === 401 ? signedOut() : ended(() => gone(id, refusal))),
    });
  };
  now(() => stage.say("Looking for it"));
  pursue();
  return { leave: () => { over(); unfollow(); }, stop: () => cancel(id) };
}

function cancel(id) {
  stage.say("Stopping");
  request(`/jobs/${id}/cancel`, { method: "POST" }).catch((refusal) => stage.remark(refusal.message, true));
}

async function gone(id, refusal) {
  const isExpired = refusal.status === 404;
  const kept = isExpired && await turnOf(id);
  if (kept) return question.showKept(kept);
  stage.say(isExpired ? "Not there" : "Refused");
  stage.remark(isExpired ? "There is no such answer: it has expired, or it is not yours." : refusal.message, true);
  if (isExpired) earlier.gone(id);
  list();
}
