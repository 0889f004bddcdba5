// What the page asks of the service. Every request carries the token, if there is one.

export class ServiceError extends Error {
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter; // seconds
  }
}

const KEY = 'acutance-token';

/** Take the token out of the address (#token=...), where it is neither sent nor logged. */
export function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, '', location.pathname);
  }
}

export function setToken(token) {
  sessionStorage.setItem(KEY, token);
}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  const headers = { ...(options.headers || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(path, { ...options, headers });
  if (!answer.ok) {
    const told = await answer.json().catch(() => ({}));
    const retryAfter = Number(answer.headers.get('retry-after')) || 5;
    throw new ServiceError(answer.status, told.error || answer.statusText, retryAfter);
  }
  return answer;
}

export const methods = async () => (await ask('/v1/methods')).json();

/** { workers, version, ... }: how many pictures are restored at once, and by which version of the program. */
export const ready = async () => (await ask('/ready')).json();

export const picture = async (link, signal) => (await ask(link, { signal })).blob();

/** Queue a form. The job stops by itself where the page is closed before it hears of it. */
export async function start(form) {
  form.set('attended', 'true');
  return (await ask('/v1/jobs', { method: 'POST', body: form })).json();
}

// keepalive: it is sent even while the page is being closed
export const stop = (id) => ask(`/v1/jobs/${id}`, { method: 'DELETE', keepalive: true }).catch(() => {});

/** The states of a job until it has ended. EventSource cannot send the token, so it is fetched. */
export async function* events(job, signal) {
  const answer = await ask(job.events, { signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      if (part.startsWith('data: ')) yield JSON.parse(part.slice(6));
    }
  }
}
