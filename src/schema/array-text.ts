/** The text form of a one-dimensional array, for a parameter. */
export function arrayText(values: readonly (string | number | null)[]): string {
  return `{${values.map(arrayElement).join(',')}}`;
}

function arrayElement(value: string | number | null): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number') return String(value);
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}

/** The elements of a one-dimensional array in text form. */
export function parseArray(text: string | null): string[] {
  if (text === null || text === '{}') return [];
  const elements: string[] = [];
  const element = /"((?:[^"\\]|\\.)*)"|([^,{}]+)/gs;
  for (const match of text.slice(1, -1).matchAll(element)) {
    elements.push(match[1] !== undefined ? match[1].replace(/\\(.)/gs, '$1') : match[2]!);
  }
  return elements;
}
