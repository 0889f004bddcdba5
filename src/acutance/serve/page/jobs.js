// A job of the service from its start to its end.
import * as api from '/page/api.js';
import { text } from '/page/texts.js';

/**
 * Send a form, tell every state, and return the last one. A full queue is waited for.
 * Throws where the job failed; where the signal is given, the job is stopped.
 */
export async function run(form, signal, tell = () => {}) {
  const job = await accepted(form, signal, tell);
  try {
    let last = job;
    for await (last of api.events(job, signal)) tell(last);
    if (last.state !== 'done') throw new Error(last.error || text.offline);
    return last;
  } catch (error) {
    api.stop(job.id);
    throw error;
  }
}

/** The files behind the named links of a job, in their order; undefined for those that there are not. */
export const fetched = (job, names, signal) =>
  Promise.all(names.map((name) => (job.links[name] ? api.picture(job.links[name], signal) : undefined)));

async function accepted(form, signal, tell) {
  for (;;) {
    try {
      return await api.start(form, signal);
    } catch (error) {
      if (error.status !== 429) throw error;
      tell({ state: 'queued' });
      await pause(1000 * error.retryAfter, signal);
    }
  }
}

export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
