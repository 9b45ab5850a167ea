// GET as it is on the wire: nothing is added, unpacked or followed.

import http from 'node:http';

/** An answer: `{ status, headers, body, text }`. */
export function get(url, headers = {}, method = 'GET') {
  return new Promise((resolve, reject) => {
    http.request(url, { method, headers, agent: false }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(pieces);
        resolve({ status: response.statusCode, headers: response.headers, body, text: body.toString() });
      });
    }).on('error', reject).end();
  });
}
