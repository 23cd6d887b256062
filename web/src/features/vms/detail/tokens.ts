// Enough of XML and JSON to colour a line: libvirt and our own printer write one thing a line.

export interface Token {
  readonly kind: 'plain' | 'tag' | 'name' | 'value' | 'note';
  readonly text: string;
}

function tokens(text: string, pattern: RegExp, kinds: readonly Token['kind'][]): Token[] {
  const found: Token[] = [];
  let from = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > from) found.push({ kind: 'plain', text: text.slice(from, match.index) });
    const which = match.slice(1).findIndex((group) => group !== undefined);
    found.push({ kind: kinds[which] ?? 'plain', text: match[0] });
    from = match.index + match[0].length;
  }
  if (from < text.length) found.push({ kind: 'plain', text: text.slice(from) });
  return found;
}

const XML = /(<!--.*?(?:-->|$))|(<\/?[\w:.-]+|\/?>|\?>|<\?\w+)|([\w:.-]+(?==['"]))|('[^']*'|"[^"]*")/g;
const JSON_LINE = /("(?:[^"\\]|\\.)*"(?=\s*:))|("(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\btrue\b|\bfalse\b|\bnull\b)/g;

export function tokensOfXml(line: string): Token[] {
  return tokens(line, XML, ['note', 'tag', 'name', 'value']);
}

export function tokensOfJson(line: string): Token[] {
  return tokens(line, JSON_LINE, ['name', 'value']);
}
