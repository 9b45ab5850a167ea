// The caches of fixtures/edge, and a count of what they ask of the origin.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { freePort, Process, until } from './process.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const recipe = (name) => readFileSync(`${root}fixtures/edge/${name}`, 'utf8');
const LOAD = process.env.HEADWATER_LOAD_BIN ?? `${root}target/release/headwater-load`;
/** The port of the origin that the recipes name. */
const RECIPE_ORIGIN = 8080;

/** Replaces what an operator would, and fails when it is not there any more. */
function adapt(text, changes) {
  return changes.reduce((now, [from, to]) => {
    if (now.split(from).length !== 2) throw new Error(`the recipe names ${from} other than once`);
    return now.replace(from, to);
  }, text);
}

/** Stands between a cache and the origin and notes every request. */
export class Counter {
  static async start(origin) {
    const self = new Counter();
    self.requests = [];
    const { hostname, port } = new URL(origin);
    self.agent = new http.Agent({ keepAlive: true });
    self.server = http.createServer((request, response) => self.pass(request, response, hostname, port));
    self.server.keepAliveTimeout = 60_000;
    await new Promise((resolve) => self.server.listen(0, '127.0.0.1', resolve));
    self.port = self.server.address().port;
    return self;
  }

  pass(request, response, hostname, port) {
    const note = { url: request.url, encoding: request.headers['accept-encoding'] ?? '', status: null };
    this.requests.push(note);
    const { method, url: path, headers } = request;
    const onward = http.request({ agent: this.agent, hostname, port, method, path, headers }, (answer) => {
      note.status = answer.statusCode;
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    onward.on('error', () => { note.status = 'broken'; response.destroy(); });
    response.on('close', () => { if (!response.writableEnded) { note.status ??= 'given up'; onward.destroy(); } });
    onward.end();
  }

  /** How many requests for one URL there were. */
  count(url) {
    return this.requests.filter((request) => request.url === url).length;
  }

  /** Requests by what they ask for: `[{ what, kind, count, statuses }]`, the most frequent first. */
  tally() {
    const all = new Map();
    for (const { url, encoding, status } of this.requests) {
      const kind = kindOf(url);
      const what = kind === 'part' || kind === 'media' ? url : `${url} ${encoding}`;
      const entry = all.get(what) ?? { what, kind, count: 0, statuses: new Set() };
      entry.count += 1;
      entry.statuses.add(status);
      all.set(what, entry);
    }
    return [...all.values()].sort((a, b) => b.count - a.count);
  }

  async stop() {
    this.agent.destroy();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function kindOf(url) {
  if (/\.m3u8\?.*_HLS_msn=/.test(url)) return 'version';
  if (/\.m3u8/.test(url)) return 'playlist';
  return /-p\d+\.m4s$/.test(url) ? 'part' : 'media';
}

/** Mean and worst of the requests for each thing of a kind. */
export function perThing(tally, kind) {
  const of = tally.filter((entry) => entry.kind === kind);
  const requests = of.reduce((sum, { count }) => sum + count, 0);
  return { things: of.length, requests, mean: requests / of.length, worst: of[0] };
}

class Cache {
  constructor() {
    this.directory = mkdtempSync(join(tmpdir(), 'headwater-edge-'));
  }

  async ready(path) {
    await until(this.process.name, 10_000, async () => {
      if (!this.process.isRunning) throw this.process.trouble('ended');
      // Any answer will do, a refusal included.
      return (await fetch(this.url + path)).status > 0;
    });
    return this;
  }

  async stop() {
    await this.process.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** nginx with the shipped recipe; ports and folders are this test's. */
export class Nginx extends Cache {
  static async start(originPort) {
    const self = new Nginx();
    const port = await freePort();
    self.url = `http://127.0.0.1:${port}`;
    const file = join(self.directory, 'nginx.conf');
    writeFileSync(join(self.directory, 'age.js'), recipe('age.js'));
    writeFileSync(file, adapt(recipe('nginx.conf'), [
      ['listen 80 ', `listen 127.0.0.1:${port} `],
      [`127.0.0.1:${RECIPE_ORIGIN}`, `127.0.0.1:${originPort}`],
      ['/var/cache/nginx/headwater', join(self.directory, 'cache')],
    ]));
    const user = process.getuid() === 0 ? 'user root; ' : '';
    const rest = `${user}daemon off; pid ${self.directory}/pid; error_log stderr warn;`;
    self.process = new Process('nginx', '/usr/sbin/nginx', ['-p', self.directory, '-c', file, '-g', rest]);
    return self.ready('/');
  }
}

/** Varnish with the shipped recipe; the port and the folder are this test's. */
export class Varnish extends Cache {
  static async start(originPort) {
    const self = new Varnish();
    const port = await freePort();
    self.url = `http://127.0.0.1:${port}`;
    const file = join(self.directory, 'varnish.vcl');
    writeFileSync(file, adapt(recipe('varnish.vcl'), [[`.port = "${RECIPE_ORIGIN}"`, `.port = "${originPort}"`]]));
    self.process = new Process('varnish', '/usr/sbin/varnishd', [
      '-F', '-j', 'none', '-n', join(self.directory, 'run'), '-f', file, '-a', `127.0.0.1:${port}`,
      '-s', 'malloc,256M', '-s', 'Transient=malloc,256M', '-p', 'timeout_idle=65', '-T', 'none',
    ]);
    return self.ready('/');
  }
}

/** Runs the fleet of players to its end and returns its report. */
export async function fleet(args) {
  if (!existsSync(LOAD)) throw new Error(`${LOAD} is missing: cargo build --release -p headwater-load`);
  const directory = mkdtempSync(join(tmpdir(), 'headwater-load-'));
  const out = join(directory, 'report.json');
  try {
    const players = new Process('headwater-load', LOAD, [...args, '--json', out]);
    const { code } = await players.ended;
    if (!existsSync(out)) throw players.trouble(`ended with ${code}`);
    return JSON.parse(readFileSync(out, 'utf8'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
