/** A line of RFC 4180; NULL is empty. */
export function csvLine(fields: readonly (string | null)[]): string {
  return `${fields.map((field) => quoteField(field ?? '')).join(',')}\r\n`;
}

function quoteField(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}
