/** Dotted IPv4 text as a number. Several times faster than parsing to bytes: policies with blocks ask at each request. */

/** 0 to 2^32 - 1; -1 for everything but four decimal numbers of 0-255 without leading zeros. */
export function ipv4Number(text: string): number {
  const { length } = text;
  if (length < 7 || length > 15) return -1;
  let address = 0;
  let part = -1;
  let dots = 0;
  for (let i = 0; i < length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46) {
      if (part < 0 || ++dots > 3) return -1;
      address = address * 256 + part;
      part = -1;
    } else if (code >= 48 && code <= 57) {
      if (part === 0) return -1;
      part = (part < 0 ? 0 : part * 10) + code - 48;
      if (part > 255) return -1;
    } else return -1;
  }
  return dots === 3 && part >= 0 ? address * 256 + part : -1;
}
