/** Byte streams that have been read as different requests by different programs, or might be. Made by hand and by combination. */

export interface FramingCase {
  readonly name: string;
  /** As latin1 text. What follows on the connection is a good request. */
  readonly bytes: string;
}

/** Would be a second request to who ends the first one early. */
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
const host = 'Host: x\r\n';
const chunks = `3\r\nabc\r\n0\r\n\r\n`;

export function framingCorpus(): FramingCase[] {
  const cases: FramingCase[] = [];
  const add: Add = (name, bytes) => void cases.push({ name: `${cases.length}: ${name}`, bytes });
  addCodings(add);
  addLengths(add);
  addChunks(add);
  addTrailers(add);
  addLines(add);
  addRequestLines(add);
  addHosts(add);
  addConnections(add);
  addMethods(add);
  addSizes(add);
  addMixtures(add);
  return cases;
}

type Add = (name: string, bytes: string) => void;

/** Ways to write Transfer-Encoding that somebody takes for chunked and somebody else does not. */
function addCodings(add: Add): void {
  const fields = [
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: Chunked',
    'transfer-encoding:chunked',
    'TRANSFER-ENCODING:\t chunked \t',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding\t: chunked',
    ' Transfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\n ',
    'Transfer-Encoding:\r\n chunked',
    'Transfer-Encoding: \x0bchunked',
    'Transfer-Encoding: \x0cchunked',
    'Transfer-Encoding: chunked\x0b',
    'Transfer-Encoding: chunked\0',
    'Transfer-Encoding: \0chunked',
    'Transfer-Encoding: chun\0ked',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunkedx',
    'Transfer-Encoding: chunke',
    'Transfer-Encoding: chunked;',
    'Transfer-Encoding: chunked;a=b',
    'Transfer-Encoding: chunked,',
    'Transfer-Encoding: ,chunked',
    'Transfer-Encoding: , chunked ,',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding: chunked, identity',
    'Transfer-Encoding: identity, chunked',
    'Transfer-Encoding: identity',
    'Transfer-Encoding: gzip, chunked',
    'Transfer-Encoding: chunked, gzip',
    'Transfer-Encoding: chunked gzip',
    'Transfer-Encoding: gzip chunked',
    'Transfer-Encoding: "chunked"',
    "Transfer-Encoding: 'chunked'",
    'Transfer-Encoding: chunked#',
    'Transfer-Encoding: (x) chunked',
    'Transfer-Encoding: chun\xe2\x84\xaaed',
    'Transfer-Encoding: chunked\xa0',
    'Transfer-Encoding: \xa0chunked',
    'Transfer-Encoding: \x85chunked',
    'Transfer-Encoding:',
    'Transfer-Encoding: \t',
    'Transfer-Encoding: false',
    'Transfer-Encoding chunked',
    'Transfer_Encoding: chunked',
    'Transfer-Encoding\0: chunked',
    'Transfer-Encoding\r: chunked',
    'Transfer-\r\nEncoding: chunked',
    'X: y\nTransfer-Encoding: chunked',
    'X: y\rTransfer-Encoding: chunked',
    'X: y\r\r\nTransfer-Encoding: chunked',
    'X: y\n\rTransfer-Encoding: chunked',
    'X\r\nTransfer-Encoding: chunked',
    ':Transfer-Encoding: chunked',
    'Foo: bar\r\n\tTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
    'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
    'Transfer-Encoding:\r\nTransfer-Encoding: chunked',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding:',
    'Content-Encoding: chunked',
    'TE: chunked',
    '\xefTransfer-Encoding: chunked',
    'Transfer-Encoding\xa0: chunked',
    'Transfer\x2dEncoding: chunked',
    '"Transfer-Encoding": chunked',
  ];
  for (const field of fields) {
    const name = JSON.stringify(field);
    add(`coding ${name}`, `POST / HTTP/1.1\r\n${host}${field}\r\n\r\n${chunks}${smuggled}`);
    // For one it ends at the last chunk, for the other after the length.
    add(
      `coding ${name} after a length`,
      `POST / HTTP/1.1\r\n${host}Content-Length: 6\r\n${field}\r\n\r\n0\r\n\r\nX${smuggled}`,
    );
    add(
      `coding ${name} before a length`,
      `POST / HTTP/1.1\r\n${host}${field}\r\nContent-Length: ${chunks.length + smuggled.length}\r\n\r\n${chunks}${smuggled}`,
    );
  }
}

function addLengths(add: Add): void {
  const values = [
    '3',
    ' 3',
    '3 ',
    '\t3\t',
    '03',
    '0003',
    '+3',
    '-3',
    '-0',
    '+0',
    '3.0',
    '3,3',
    '3, 3',
    '3;3',
    '3 3',
    '3\t3',
    '0x3',
    '0X3',
    '3h',
    '3e0',
    '1e0',
    '3_0',
    '\xb3',
    '\xa03',
    '3\xa0',
    '\x0b3',
    '3\x0b',
    '3\0',
    '\x003',
    '"3"',
    '',
    ' ',
    '३',
    '3\r\n ',
    '\r\n 3',
    '3\r',
    '3\n',
    '4294967299',
    '18446744073709551619',
    '9223372036854775811',
    '9007199254740995',
    '999999999999999999999999',
    '2147483651',
    '00000000000000000000000000000003',
    '3, 4',
    '4, 3',
    ',3',
    '3,',
    '(3)',
    '3#',
    '0',
    '00',
    '-',
    '+',
    'a',
    '3\r\nContent-Length: 3',
    '3\r\nContent-Length: 4',
    '4\r\nContent-Length: 3',
    '3\r\nContent-Length:',
    '\r\nContent-Length: 3',
    '3\r\ncontent-length: +3',
    '3\r\nContent-Length : 4',
    '3\r\n Content-Length: 4',
    '3\r\nContent-Length\0: 4',
    '3\nContent-Length: 4',
    '3\rContent-Length: 4',
  ];
  for (const value of values) {
    add(`length ${JSON.stringify(value)}`, `POST / HTTP/1.1\r\n${host}Content-Length: ${value}\r\n\r\nabc${smuggled}`);
    add(
      `length ${JSON.stringify(value)} of a GET`,
      `GET / HTTP/1.1\r\n${host}Content-Length: ${value}\r\n\r\nabc${smuggled}`,
    );
  }
  for (const name of [
    'Content-Length ',
    'Content-Length\t',
    ' Content-Length',
    'Content_Length',
    'Content-Length\0',
    'Content-Length\r',
    'Content Length',
    'Content-Length\x0b',
    '\x0bContent-Length',
    'content-LENGTH',
    'Content-Lengt\xe8',
    'Content-Length:',
  ]) {
    add(`length in ${JSON.stringify(name)}`, `POST / HTTP/1.1\r\n${host}${name}: 3\r\n\r\nabc${smuggled}`);
  }
}

function addChunks(add: Add): void {
  const bodies = [
    '3\r\nabc\r\n0\r\n\r\n',
    '03\r\nabc\r\n00\r\n\r\n',
    '000000000000000003\r\nabc\r\n0\r\n\r\n',
    '3;\r\nabc\r\n0\r\n\r\n',
    '3;a\r\nabc\r\n0\r\n\r\n',
    '3;a=b\r\nabc\r\n0;c\r\n\r\n',
    '3;a="b;c"\r\nabc\r\n0\r\n\r\n',
    '3;a="b\r\nabc\r\n0\r\n\r\n',
    '3 ;a\r\nabc\r\n0\r\n\r\n',
    '3; a\r\nabc\r\n0\r\n\r\n',
    '3\t;a\r\nabc\r\n0\r\n\r\n',
    '3 \r\nabc\r\n0\r\n\r\n',
    '3\t\r\nabc\r\n0\r\n\r\n',
    ' 3\r\nabc\r\n0\r\n\r\n',
    '\t3\r\nabc\r\n0\r\n\r\n',
    '+3\r\nabc\r\n0\r\n\r\n',
    '-3\r\nabc\r\n0\r\n\r\n',
    '0x3\r\nabc\r\n0\r\n\r\n',
    '3h\r\nabc\r\n0\r\n\r\n',
    '3,\r\nabc\r\n0\r\n\r\n',
    '3.0\r\nabc\r\n0\r\n\r\n',
    '3 3\r\nabc\r\n0\r\n\r\n',
    '0_3\r\nabc\r\n0\r\n\r\n',
    '3\nabc\n0\n\n',
    '3\nabc\r\n0\r\n\r\n',
    '3\r\nabc\n0\r\n\r\n',
    '3\r\nabc\r\n0\n\r\n',
    '3\r\nabc\r\n0\r\n\n',
    '3\r\nabc\r\n0\n\n',
    '3\rabc\r\n0\r\n\r\n',
    '3\r\nabc\r0\r\n\r\n',
    '3\r\r\nabc\r\n0\r\n\r\n',
    '3\n\r\nabc\r\n0\r\n\r\n',
    '3\r\nabc0\r\n\r\n',
    '3\r\nabcd\r\n0\r\n\r\n',
    '4\r\nabc\r\n0\r\n\r\n',
    '2\r\nabc\r\n0\r\n\r\n',
    '3\r\nabc\r\n\r\n0\r\n\r\n',
    '3\r\nabcXX0\r\n\r\n',
    '3\r\nabc\r\nX0\r\n\r\n',
    '3;a\nabc\r\n0\r\n\r\n',
    '3;a\rb\r\nabc\r\n0\r\n\r\n',
    '3;\0\r\nabc\r\n0\r\n\r\n',
    '3;a\nbc;\r\nabc\r\n0\r\n\r\n',
    '3;a=b\n\r\nabc\r\n0\r\n\r\n',
    '3\0\r\nabc\r\n0\r\n\r\n',
    '3\x0b\r\nabc\r\n0\r\n\r\n',
    '3;\x7f\r\nabc\r\n0\r\n\r\n',
    '3;\xe9\r\nabc\r\n0\r\n\r\n',
    'ffffffffffffffff3\r\nabc\r\n0\r\n\r\n',
    '10000000000000003\r\nabc\r\n0\r\n\r\n',
    '100000003\r\nabc\r\n0\r\n\r\n',
    'FFFFFFFFFFFFFFFD\r\nabc\r\n0\r\n\r\n',
    '80000003\r\nabc\r\n0\r\n\r\n',
    '20000000000003\r\nabc\r\n0\r\n\r\n',
    '\r\n\r\n',
    '\r\n3\r\nabc\r\n0\r\n\r\n',
    ';a\r\nabc\r\n0\r\n\r\n',
    'g\r\nabc\r\n0\r\n\r\n',
    '0\r\n\r\n',
    '00000\r\n\r\n',
    '-0\r\n\r\n',
    '0 \r\n\r\n',
    '0;\r\n\r\n',
    '0\r\n',
    '0\r\nX',
    '0\r\n \r\n\r\n',
    '3\r\nabc\r\n',
    '3\r\nab',
    '3',
    '',
    '0\n\r\n',
    '0\r\r\n\r\n',
    '0\r\n\r',
    '0\r\n\rX',
    '0\0\r\n\r\n',
    '0\r\n0\r\n\r\n',
    '0\r\n\r\n0\r\n\r\n',
    'a\r\n0\r\n\r\nGET /\r\n0\r\n\r\n',
    '٣\r\nabc\r\n0\r\n\r\n',
    '"3"\r\nabc\r\n0\r\n\r\n',
    '3"\r\nabc\r\n0\r\n\r\n',
    '3:\r\nabc\r\n0\r\n\r\n',
    '3=\r\nabc\r\n0\r\n\r\n',
    '3#\r\nabc\r\n0\r\n\r\n',
    '3&\r\nabc\r\n0\r\n\r\n',
    `3;${'a'.repeat(5000)}\r\nabc\r\n0\r\n\r\n`,
    `3;${'a'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`,
  ];
  for (const body of bodies) {
    add(
      `chunks ${JSON.stringify(body.slice(0, 60))}`,
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${body}${smuggled}`,
    );
  }
}

function addTrailers(add: Add): void {
  const sections = [
    'A: b\r\n\r\n',
    'A:b\r\nC: d\r\n\r\n',
    'A\r\n\r\n',
    'A : b\r\n\r\n',
    ' A: b\r\n\r\n',
    'A: b\r\n c\r\n\r\n',
    'A: b\n\r\n',
    'A: b\n\n',
    'A: b\r\r\n\r\n',
    'A: b\rC: d\r\n\r\n',
    'A: \0\r\n\r\n',
    ': b\r\n\r\n',
    'A: b\r\n\n',
    'A: b\r\n\r\r\n',
    'A(: b\r\n\r\n',
    'Content-Length: 50\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\n',
    'Transfer-Encoding: identity\r\n\r\n',
    'Host: evil\r\n\r\n',
    'Connection: close\r\n\r\n',
    'Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\n',
    'Trailer: A\r\nA: b\r\n\r\n',
    `A: ${'b'.repeat(9000)}\r\n\r\n`,
    `${'A: b\r\n'.repeat(99)}\r\n`,
    `${'A: b\r\n'.repeat(150)}\r\n`,
    'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n',
    'A: b\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n',
  ];
  for (const section of sections) {
    add(
      `trailers ${JSON.stringify(section.slice(0, 60))}`,
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n${section}${smuggled}`,
    );
  }
}

/** Line ends and white space between, before and behind fields. */
function addLines(add: Add): void {
  const heads = [
    `GET / HTTP/1.1\n${host}\r\n`,
    `GET / HTTP/1.1\r\nHost: x\n\r\n`,
    `GET / HTTP/1.1\nHost: x\n\n`,
    `GET / HTTP/1.1\r\nHost: x\r\n\n`,
    `GET / HTTP/1.1\rHost: x\r\r`,
    `GET / HTTP/1.1\r\n${host}\r`,
    `GET / HTTP/1.1\r\n\r\n${host}\r\n`,
    `GET / HTTP/1.1\r\n${host}A: b\n\nGET /smuggled HTTP/1.1\r\n${host}\r\n`,
    `GET / HTTP/1.1\r\n${host}A: b\r\n\n`,
    `GET / HTTP/1.1\r\n${host}A: b\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: b\r\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: b\n\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: b\r\n\rX: y\r\n\r\n`,
    `\r\nGET / HTTP/1.1\r\n${host}\r\n`,
    `\r\n\r\nGET / HTTP/1.1\r\n${host}\r\n`,
    `\nGET / HTTP/1.1\r\n${host}\r\n`,
    `\rGET / HTTP/1.1\r\n${host}\r\n`,
    ` GET / HTTP/1.1\r\n${host}\r\n`,
    `\0GET / HTTP/1.1\r\n${host}\r\n`,
    `\r\n GET / HTTP/1.1\r\n${host}\r\n`,
    `GET / HTTP/1.1\r\n ${host}\r\n`,
    `GET / HTTP/1.1\r\n\t${host}\r\n`,
    `GET / HTTP/1.1\r\n \r\n${host}\r\n`,
    `GET / HTTP/1.1\r\n${host} \r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}\t\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: b\r\n c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: b\r\n\tc\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A:\r\n b\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A\r\n b: c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A b: c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}: c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}:\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A;: c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A\0: c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: \0\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: \x01\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: \x7f\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: \x1b[0m\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: \xe9\xff\x80\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}\xe9: b\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A_B: c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A.B!#$%&'*+^\`|~: c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}"A": c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: b\x0bc\x0c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: b\r\0\n\r\n`,
    `GET / HTTP/1.1\r\n${host}A: \u0085\r\n\r\n`,
  ];
  for (const head of heads) add(`lines ${JSON.stringify(head)}`, `${head}${smuggled}`);
}

function addRequestLines(add: Add): void {
  const lines = [
    'GET  / HTTP/1.1',
    'GET /  HTTP/1.1',
    'GET\t/ HTTP/1.1',
    'GET /\tHTTP/1.1',
    'GET / HTTP/1.1 ',
    'GET / HTTP/1.1\t',
    'GET / HTTP/1.1x',
    'GET /',
    'GET / HTTP',
    'GET / HTTP/',
    'GET / HTTP/1',
    'GET / HTTP/1.',
    'GET / HTTP/.1',
    'GET / HTTP/11',
    'GET / HTTP/1.10',
    'GET / HTTP/01.1',
    'GET / HTTP/1.01',
    'GET / http/1.1',
    'GET / Http/1.1',
    'GET / HTTPS/1.1',
    'GET / HTTP/1.2',
    'GET / HTTP/2.0',
    'GET / HTTP/3.0',
    'GET / HTTP/0.9',
    'GET / HTTP/9.9',
    'GET / HTTP/-1.1',
    'GET / HTTP/1,1',
    'GET / HTTP /1.1',
    'GET / HTTP/1.1\0',
    'GET / HTTP/1.0',
    'GET /a b HTTP/1.1',
    'GET /a\0b HTTP/1.1',
    'GET /a\x01b HTTP/1.1',
    'GET /\xe9 HTTP/1.1',
    'GET /\x7f HTTP/1.1',
    'GET /a#b HTTP/1.1',
    'GET /# HTTP/1.1',
    'GET /?# HTTP/1.1',
    'GET /%00 HTTP/1.1',
    'GET /%zz HTTP/1.1',
    'GET /% HTTP/1.1',
    'GET /%0d%0aA:b HTTP/1.1',
    'GET //x/y HTTP/1.1',
    'GET /../.. HTTP/1.1',
    'GET /\\..\\ HTTP/1.1',
    'GET /"<>|{}^` HTTP/1.1',
    'GET ?a HTTP/1.1',
    'GET a HTTP/1.1',
    'GET * HTTP/1.1',
    'GET ** HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'OPTIONS *x HTTP/1.1',
    'GET http://x/ HTTP/1.1',
    'GET http://y/ HTTP/1.1',
    'GET HTTP://x/ HTTP/1.1',
    'GET https://x/ HTTP/1.1',
    'GET http://x HTTP/1.1',
    'GET http://x?a HTTP/1.1',
    'GET http://x#a HTTP/1.1',
    'GET http:// HTTP/1.1',
    'GET http:///a HTTP/1.1',
    'GET http:/a HTTP/1.1',
    'GET http:a HTTP/1.1',
    'GET http://u@x/ HTTP/1.1',
    'GET http://u:p@x/ HTTP/1.1',
    'GET http://x:80/ HTTP/1.1',
    'GET http://x:/ HTTP/1.1',
    'GET http://x:a/ HTTP/1.1',
    'GET http://x:99999/ HTTP/1.1',
    'GET http://[::1]/ HTTP/1.1',
    'GET http://[::1/ HTTP/1.1',
    'GET http://x\\y/ HTTP/1.1',
    'GET ftp://x/ HTTP/1.1',
    'GET file:///etc/passwd HTTP/1.1',
    'GET x:80 HTTP/1.1',
    'G\0T / HTTP/1.1',
    'G(T / HTTP/1.1',
    'G\xe9T / HTTP/1.1',
    'get / HTTP/1.1',
    '"GET" / HTTP/1.1',
    'GET:/ / HTTP/1.1',
    ': / HTTP/1.1',
    ' / HTTP/1.1',
    '/ HTTP/1.1',
    'HTTP/1.1 200 OK',
    'PRI * HTTP/2.0',
    'SM',
    'CONNECT x HTTP/1.1',
    'CONNECT / HTTP/1.1',
    'CONNECT http://x:80/ HTTP/1.1',
    'CONNECT x:80/ HTTP/1.1',
    'CONNECT u@x:80 HTTP/1.1',
    'CONNECT x: HTTP/1.1',
    'CONNECT :80 HTTP/1.1',
    'CONNECT x:80 x HTTP/1.1',
  ];
  for (const line of lines) add(`request line ${JSON.stringify(line)}`, `${line}\r\n${host}\r\n${smuggled}`);
}

function addHosts(add: Add): void {
  const fields = [
    '',
    'Host:\r\n',
    'Host: \r\n',
    'Host: x\r\nHost: x\r\n',
    'Host: x\r\nHost: y\r\n',
    'Host: x\r\nHost:\r\n',
    'Host : x\r\n',
    ' Host: x\r\n',
    'Host: x y\r\n',
    'Host: x\ty\r\n',
    'Host: x,y\r\n',
    'Host: x/y\r\n',
    'Host: x?y\r\n',
    'Host: x#y\r\n',
    'Host: x\\y\r\n',
    'Host: u@x\r\n',
    'Host: x:80\r\n',
    'Host: x:\r\n',
    'Host: x:a\r\n',
    'Host: x:80:80\r\n',
    'Host: x:99999999\r\n',
    'Host: :80\r\n',
    'Host: [::1]\r\n',
    'Host: [::1]:80\r\n',
    'Host: [::1\r\n',
    'Host: ::1\r\n',
    'Host: []\r\n',
    'Host: x%00\r\n',
    'Host: x\0\r\n',
    'Host: \xe9\r\n',
    'Host: "x"\r\n',
    'Host: <x>\r\n',
    'Host: x.\r\n',
    'Host: .x\r\n',
    'Host: x..y\r\n',
    'Host: http://x\r\n',
    'Host: x\r\n y\r\n',
    'hOsT:x\r\n',
    `Host: ${'x'.repeat(300)}\r\n`,
    'Host: *\r\n',
    'Host: x_y\r\n',
    'Host: -\r\n',
    'Host: a;b\r\n',
    'Host: x\r\nX-Host: y\r\n',
  ];
  for (const field of fields) {
    add(`host ${JSON.stringify(field.slice(0, 60))}`, `GET / HTTP/1.1\r\n${field}\r\n${smuggled}`);
    add(`host ${JSON.stringify(field.slice(0, 60))} behind a URL`, `GET http://y/ HTTP/1.1\r\n${field}\r\n${smuggled}`);
  }
}

/** Connection, and what may be dropped by it on the way. */
function addConnections(add: Add): void {
  const fields = [
    'Connection: close',
    'Connection: Close',
    'Connection: keep-alive',
    'Connection: keep-alive, close',
    'Connection: close\r\nConnection: keep-alive',
    'Connection: ,',
    'Connection:',
    'Connection: a b',
    'Connection: "close"',
    'Connection: close;',
    'Connection: Content-Length',
    'Connection: close, content-length',
    'Connection: Transfer-Encoding',
    'Connection: Host',
    'Connection: TE',
    'Connection: upgrade',
    'Connection: Upgrade\r\nUpgrade: websocket',
    'Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
    'Connection: Upgrade\r\nUpgrade: x, y',
    'Upgrade: websocket',
    'Connection: Cookie\r\nCookie: a',
    'Connection: X-Forwarded-For\r\nX-Forwarded-For: a',
    'Keep-Alive: timeout=5, max=100',
    'Proxy-Connection: keep-alive',
    'Proxy-Connection: close',
    'Expect: 100-continue',
    'Expect: 100-Continue',
    'Expect: 100-continue, x',
    'Expect: x',
    'Expect: x 100-continue',
    'Expect:',
    'Expect: 100-continue\r\nExpect: 100-continue',
    'TE: trailers',
    'TE: trailers\r\nConnection: te',
    'TE: gzip, trailers',
    'Trailer: Content-Length',
  ];
  for (const field of fields) {
    add(`connection ${JSON.stringify(field)}`, `GET / HTTP/1.1\r\n${host}${field}\r\n\r\n${smuggled}`);
    add(
      `connection ${JSON.stringify(field)} with a length`,
      `POST / HTTP/1.1\r\n${host}${field}\r\nContent-Length: 3\r\n\r\nabc${smuggled}`,
    );
    add(
      `connection ${JSON.stringify(field)} with chunks`,
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n${field}\r\n\r\n${chunks}${smuggled}`,
    );
  }
}

function addMethods(add: Add): void {
  for (const method of [
    'GET',
    'HEAD',
    'DELETE',
    'OPTIONS',
    'TRACE',
    'PUT',
    'PATCH',
    'PROPFIND',
    'PURGE',
    'FOO',
    'get',
    'M-SEARCH',
  ]) {
    add(`${method} without a body`, `${method} / HTTP/1.1\r\n${host}\r\n${smuggled}`);
    add(`${method} with length 0`, `${method} / HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n${smuggled}`);
    add(`${method} with a length`, `${method} / HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabc${smuggled}`);
    add(
      `${method} with chunks`,
      `${method} / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${chunks}${smuggled}`,
    );
    add(
      `${method} in HTTP/1.0 with a length`,
      `${method} / HTTP/1.0\r\n${host}Content-Length: 3\r\n\r\nabc${smuggled}`,
    );
    add(
      `${method} in HTTP/1.0 with chunks`,
      `${method} / HTTP/1.0\r\n${host}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}${smuggled}`,
    );
  }
}

function addSizes(add: Add): void {
  for (const count of [50, 99, 100, 101, 200])
    add(`${count} fields`, `GET / HTTP/1.1\r\n${host}${'A: b\r\n'.repeat(count - 1)}\r\n${smuggled}`);
  for (const length of [1_000, 7_000, 20_000, 61_000, 70_000]) {
    add(`a value of ${length} bytes`, `GET / HTTP/1.1\r\n${host}A: ${'b'.repeat(length)}\r\n\r\n${smuggled}`);
    add(`a target of ${length} bytes`, `GET /${'b'.repeat(length)} HTTP/1.1\r\n${host}\r\n${smuggled}`);
    add(`a name of ${length} bytes`, `GET / HTTP/1.1\r\n${host}${'b'.repeat(length)}: c\r\n\r\n${smuggled}`);
    add(
      `a body of ${length} bytes`,
      `POST / HTTP/1.1\r\n${host}Content-Length: ${length}\r\n\r\n${'b'.repeat(length)}${smuggled}`,
    );
    add(
      `chunks of ${length} bytes`,
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${length.toString(16)}\r\n${'b'.repeat(length)}\r\n0\r\n\r\n${smuggled}`,
    );
  }
  add(
    'many small chunks',
    `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${'1\r\na\r\n'.repeat(3000)}0\r\n\r\n${smuggled}`,
  );
  add('many requests', smuggled.repeat(30));
}

/** Several of them at once. */
function addMixtures(add: Add): void {
  const request = (path: string, fields: string, body: string): string =>
    `POST ${path} HTTP/1.1\r\n${host}${fields}\r\n${body}`;
  add(
    'good bodies in a row',
    request('/1', 'Content-Length: 3\r\n', 'abc') +
      request('/2', 'Transfer-Encoding: chunked\r\n', chunks) +
      request('/3', '', '') +
      smuggled,
  );
  add('a body that looks like a request', request('/1', `Content-Length: ${smuggled.length}\r\n`, smuggled));
  add(
    'chunks that look like requests',
    request('/1', 'Transfer-Encoding: chunked\r\n', `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`) +
      smuggled,
  );
  add(
    'an extension that looks like a request',
    request('/1', 'Transfer-Encoding: chunked\r\n', `3;\nGET /smuggled HTTP/1.1\r\nabc\r\n0\r\n\r\n`),
  );
  add(
    'a bad request behind a good one',
    request('/1', 'Content-Length: 3\r\n', 'abc') +
      request('/2', 'Content-Length: 3\r\nContent-Length: 4\r\n', 'abcd') +
      smuggled,
  );
  add(
    'a good body, then a bad chunk',
    request('/1', 'Content-Length: 3\r\n', 'abc') +
      request('/2', 'Transfer-Encoding: chunked\r\n', '3\r\nabcd\r\n0\r\n\r\n') +
      smuggled,
  );
  add('a length that is longer than what comes', request('/1', 'Content-Length: 100000\r\n', 'abc'));
  add('chunks without end', request('/1', 'Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n'));
  add(
    'an obfuscated coding behind a good one',
    request('/1', 'Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n', chunks) + smuggled,
  );
  add('a length in a folded line', request('/1', 'A: b\r\n Content-Length: 3\r\n', 'abc') + smuggled);
  add('a length behind a bare carriage return', request('/1', 'A: b\rContent-Length: 3\r\n', 'abc') + smuggled);
  add('a length behind a NUL', request('/1', 'A: b\0Content-Length: 3\r\n', 'abc') + smuggled);
  add(
    'an early end of the head by a bare line feed',
    `POST /1 HTTP/1.1\r\n${host}Content-Length: 3\r\nA: b\n\nabc${smuggled}`,
  );
  add('lengths that differ in case', request('/1', 'content-length: 3\r\nCONTENT-LENGTH: 5\r\n', 'abcde') + smuggled);
  add(
    'an underscore length beside a length',
    request('/1', 'Content_Length: 5\r\nContent-Length: 3\r\n', 'abc') + smuggled,
  );
  add('a request line in a field', `GET / HTTP/1.1\r\n${host}GET /smuggled HTTP/1.1\r\n${host}\r\n`);
  add('only white space behind a request', `GET / HTTP/1.1\r\n${host}\r\n   \r\n${smuggled}`);
  add('an answer instead of a request', `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n${smuggled}`);
  add('a head in HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0${smuggled}`);
}
