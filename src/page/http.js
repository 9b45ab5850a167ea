// Requests and waits that end with the session they belong to.

const REQUEST_MS_MAX = 30_000;

class HttpError extends Error {
  constructor(status, url) {
    super(`${status} for ${new URL(url).pathname}`);
    this.status = status;
  }
}

/** Waits, or throws when the signal aborts first. */
export const sleep = (ms, signal) => new Promise((resolve, reject) => {
  signal.throwIfAborted();
  const cancel = () => { clearTimeout(timer); reject(signal.reason); };
  const timer = setTimeout(() => { signal.removeEventListener('abort', cancel); resolve(); }, ms);
  signal.addEventListener('abort', cancel, { once: true });
});

/** Fetches a body whole; `read` names the method of Response. */
export async function get(url, read, signal) {
  const late = new AbortController();
  const cancel = () => late.abort(signal.reason);
  signal.throwIfAborted();
  signal.addEventListener('abort', cancel, { once: true });
  const timer = setTimeout(() => late.abort(new Error(`no answer from ${new URL(url).pathname}`)), REQUEST_MS_MAX);
  try {
    const response = await fetch(url, { signal: late.signal });
    if (!response.ok) throw new HttpError(response.status, url);
    return await response[read]();
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}
