// A job of the service from its start to its end.
import * as api from '/page/api.js';
import { text } from '/page/texts.js';

/**
 * Send a form, tell every state, and return { report, files }: the files behind the named links, undefined where there
 * is none. A full queue is waited for. The job is removed in the end, and at once where the signal is given.
 * Throws where it failed.
 */
export async function run(form, signal, names, tell = () => {}) {
  const job = await accepted(form, signal, tell);
  const stop = () => api.stop(job.id);
  if (signal.aborted) {
    stop();
    throw signal.reason;
  }
  signal.addEventListener('abort', stop); // at once: the page may be closing
  try {
    let last = job;
    for await (last of api.events(job, signal)) tell(last);
    if (last.state !== 'done') throw new Error(last.error || text.offline);
    tell({ phase: 'loading' });
    const { links, report } = last;
    const files = await Promise.all(names.map((name) => (links[name] ? api.picture(links[name], signal) : undefined)));
    return { report, files };
  } finally {
    signal.removeEventListener('abort', stop);
    if (!signal.aborted) stop();
  }
}

async function accepted(form, signal, tell) {
  for (;;) {
    try {
      return await api.start(form); // not ended by the signal: a job whose name never came could not be stopped
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
