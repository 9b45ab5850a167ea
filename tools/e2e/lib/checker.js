// headwater-check, and what it may say of this origin.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const CHECKER = process.env.HEADWATER_CHECK_BIN ?? `${root}target/release/headwater-check`;

if (!existsSync(CHECKER)) {
  throw new Error(`${CHECKER} is missing: cargo build --release -p headwater-check, or set HEADWATER_CHECK_BIN`);
}

/** Watches a playlist or an MPD for so long; the report as the checker printed it. */
export async function check(playlist, seconds, args = []) {
  const { stdout, stderr, code } = await new Promise((resolve) => {
    execFile(CHECKER, ['--json', '--seconds', String(seconds), ...args, playlist], { maxBuffer: 64 << 20 }, (error, out, err) => {
      resolve({ stdout: out, stderr: err, code: error?.code ?? 0 });
    });
  });
  assert.ok(code === 0 || code === 1, `the checker could not check: ${stderr}`);
  const report = JSON.parse(stdout);
  assert.equal(code === 1, report.fails > 0, 'the exit code tells of failures');
  return report;
}

/** What the checker says of times it does not trust. */
const BUSY = 'the checker\'s own machine may be why';

const line = ({ rule, level, rendition, what, saw, clause, times }) => (
  `${rule} ${level} ${rendition}: ${what} (${times} times)\n      ${saw}\n      [${clause}]`
);

const numbered = (letter, count) => Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
/** What is always looked at; the others need what a source or an operator may leave out. */
const DUE_OF_PLAYLISTS = numbered('C', 36).concat('C38', 'C39', 'C40')
  .filter((rule) => !['C21', 'C23', 'C24', 'C27'].includes(rule));
const DUE_OF_MPDS = numbered('D', 21)
  .filter((rule) => !['D5', 'D8', 'D9', 'D16', 'D17', 'D18'].includes(rule));

/** No FAIL, no WARN but those explained, and everything looked at that can be. */
export function assertConforms(report, explained) {
  const isExplained = ({ rule, what, saw }) => (
    saw.includes(BUSY) || explained.some((known) => known.rule === rule && what.includes(known.what))
  );
  const bad = report.findings.filter((finding) => (
    finding.level === 'FAIL' || (finding.level === 'WARN' && !isExplained(finding))
  ));
  assert.deepEqual(bad.map(line), [], 'nothing but explained warnings');
  const looked = new Set(report.findings.filter(({ level }) => level !== 'SKIP').map(({ rule }) => rule));
  const due = report.address.includes('.mpd') ? DUE_OF_MPDS : DUE_OF_PLAYLISTS;
  assert.deepEqual(due.filter((rule) => !looked.has(rule)), [], 'every assertion was made');
}

/** What was warned of, for the log of a run. */
export function warnings(name, report) {
  const found = report.findings.filter(({ level }) => level === 'WARN' || level === 'FAIL');
  return [`  ${name}: ${report.fails} FAIL, ${report.warns} WARN`, ...found.map((finding) => `    ${line(finding)}`)].join('\n');
}
