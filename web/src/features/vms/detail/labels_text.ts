// Labels as one edits them: `key=value`, one a line.

export type Labels = Readonly<Record<string, string>>;

export function labelsText(labels: Labels): string {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`).join('\n');
}

/** The labels, or what is wrong with a line. What a key and a value may hold is the server's to say. */
export function labelsOf(text: string): Labels | string {
  const labels = new Map<string, string>();
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '') continue;
    const at = trimmed.indexOf('=');
    if (at <= 0) return `Line ${index + 1}: a label is key=value.`;
    const key = trimmed.slice(0, at).trim();
    if (labels.has(key)) return `Line ${index + 1}: ${key} is there twice.`;
    labels.set(key, trimmed.slice(at + 1).trim());
  }
  return Object.fromEntries(labels);
}
