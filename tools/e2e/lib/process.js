// Child processes that are ours to start and to end.

import { spawn } from 'node:child_process';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export { sleep };

const LINES_KEPT = 40;
const children = new Set();
process.on('exit', () => { for (const child of children) child.kill('SIGKILL'); });

/** A running child, with its last lines for when something goes wrong. */
export class Process {
  constructor(name, command, args, options = {}) {
    this.name = name;
    this.lines = [];
    this.watchers = new Set();
    this.child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    children.add(this.child);
    this.ended = new Promise((resolve) => {
      this.child.on('error', (error) => { this.take(String(error)); resolve({ code: null, signal: null }); });
      this.child.on('close', (code, signal) => resolve({ code, signal }));
    }).then((end) => {
      children.delete(this.child);
      this.end = end;
      for (const watcher of this.watchers) watcher(null);
      return end;
    });
    for (const stream of [this.child.stdout, this.child.stderr]) this.read(stream);
  }

  read(stream) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (text) => {
      const parts = (rest + text).split(/\r?\n|\r/);
      rest = parts.pop();
      parts.forEach((line) => this.take(line));
    });
  }

  take(line) {
    this.lines.push(line);
    if (this.lines.length > LINES_KEPT) this.lines.shift();
    for (const watcher of this.watchers) watcher(line);
  }

  /** The first match of `pattern` in a line of output, past ones included. */
  async line(pattern, limit_ms) {
    const past = this.lines.map((line) => line.match(pattern)).find(Boolean);
    if (past) return past;
    return new Promise((resolve, reject) => {
      const finish = (end, value) => { clearTimeout(timer); this.watchers.delete(watcher); end(value); };
      const watcher = (line) => {
        const match = line?.match(pattern);
        if (match) finish(resolve, match);
        else if (line === null) finish(reject, this.trouble('ended'));
      };
      const timer = setTimeout(() => finish(reject, this.trouble(`did not say ${pattern}`)), limit_ms);
      this.watchers.add(watcher);
    });
  }

  trouble(what) {
    return new Error(`${this.name} ${what}:\n  ${this.lines.join('\n  ')}`);
  }

  get isRunning() {
    return this.end === undefined;
  }

  /** Asks it to end, and makes it after a while. */
  async stop(signal = 'SIGTERM') {
    if (!this.isRunning) return this.end;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 3_000);
    const end = await this.ended;
    clearTimeout(timer);
    return end;
  }
}

/** A port of the loopback interface that nobody listens on. */
export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Calls `ask` until it gives something that is true. */
export async function until(what, limit_ms, ask) {
  const end_ms = Date.now() + limit_ms;
  let last = null;
  for (;;) {
    const found = await Promise.resolve().then(ask).catch((error) => { last = error; });
    if (found) return found;
    if (Date.now() > end_ms) throw new Error(`no ${what} within ${limit_ms} ms${last ? `: ${last.message}` : ''}`);
    await sleep(50);
  }
}
