import type { Json, JsonObject } from './explain-report.ts';

/** A statement's document as PostgreSQL lays out FORMAT JSON. */
export function asJson(document: JsonObject): string {
  return JSON.stringify([document], null, 2);
}

/** FORMAT YAML: as ExplainPropertyText and its kin write it. */
export function asYaml(document: JsonObject): string {
  return yamlItem(document, 0).join('\n');
}

function yamlItem(value: Json, indent: number): string[] {
  if (!isObject(value)) return [`${spaces(indent)}- ${yamlScalar(value)}`];
  const [first = '', ...rest] = yamlProperties(value, indent + 2);
  return [`${spaces(indent)}- ${first.trimStart()}`, ...rest];
}

function yamlProperties(object: JsonObject, indent: number): string[] {
  return Object.entries(object).flatMap(([key, value]) => {
    const label = `${spaces(indent)}${key}:`;
    if (Array.isArray(value)) return [`${label} `, ...value.flatMap((item: Json) => yamlItem(item, indent + 2))];
    return isObject(value) ? [`${label} `, ...yamlProperties(value, indent + 2)] : [`${label} ${yamlScalar(value)}`];
  });
}

function yamlScalar(value: Json): string {
  return JSON.stringify(value);
}

/** FORMAT XML: labels as ExplainXMLTag writes them. */
export function asXml(document: JsonObject): string {
  return [
    '<explain xmlns="http://www.postgresql.org/2009/explain">',
    ...xmlElement('Query', document, 2),
    '</explain>',
  ].join('\n');
}

/** What an element of a list is called; `Item` unless named here. */
const elementLabels: Readonly<Record<string, string>> = {
  Plans: 'Plan',
  Triggers: 'Trigger',
  Workers: 'Worker',
  Tasks: 'Task',
  Samples: 'Sample',
};

function xmlElement(label: string, value: Json, indent: number): string[] {
  const tag = label.replace(/[^A-Za-z0-9_.-]/g, '-');
  const open = `${spaces(indent)}<${tag}>`;
  const close = `</${tag}>`;
  if (Array.isArray(value)) {
    const items = value.flatMap((item: Json) => xmlElement(elementLabels[label] ?? 'Item', item, indent + 2));
    return [open, ...items, `${spaces(indent)}${close}`];
  }
  if (!isObject(value)) return [`${open}${escapeXml(String(value))}${close}`];
  const properties = Object.entries(value).flatMap(([key, inner]) => xmlElement(key, inner, indent + 2));
  return [open, ...properties, `${spaces(indent)}${close}`];
}

function escapeXml(text: string): string {
  const names: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#x0d;' };
  return text.replace(/[&<>\r]/g, (character) => names[character]!);
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function spaces(count: number): string {
  return ' '.repeat(count);
}
