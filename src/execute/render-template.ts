import type { Site } from '../catalog/site.ts';
import { assert, unreachable } from '../core/assert.ts';
import type { PlanConstant, SqlTemplate } from '../plan/plan.ts';
import { quoteLiteral } from '../sql/quote.ts';
import type { RowsItem } from './rendered-rows.ts';
import type { BoundValue, RenderedSql } from './statement-bytes.ts';

/** What a template's holes stand for in one run. */
export interface TemplateValues {
  readonly parameters: readonly BoundValue[];
  /** Text of each plan constant; null is NULL, and what is missing isn't known yet. */
  readonly constants: readonly (string | null | undefined)[];
  readonly constantTypes: readonly PlanConstant[];
  /** SQL for a constant that isn't known yet; left out: all are known. */
  lateConstant?(index: number): string;
  /** The rows of a motion as a FROM item whose placeholders start where told, as they stand on that site. */
  motion(index: number, firstPlaceholder: number, site?: Site): RowsItem;
}

/** The hole for a step's own rows, beside the plan's motions, which count from 0. */
export const ownRows = -1;

/** The same values, and a step's own rows. Member by member: a copy would leave the getters of a class behind. */
export function withOwnRows(values: TemplateValues, rows: (firstPlaceholder: number) => RowsItem): TemplateValues {
  return {
    parameters: values.parameters,
    constants: values.constants,
    constantTypes: values.constantTypes,
    motion: (index, firstPlaceholder, site) =>
      index === ownRows ? rows(firstPlaceholder) : values.motion(index, firstPlaceholder, site),
  };
}

/**
 * Writes a template as SQL with placeholders of its own numbering. The same parameter used twice is one placeholder, and so are the rows of a
 * motion: PostgreSQL knows expressions over them as alike.
 */
export function renderTemplate(template: SqlTemplate, values: TemplateValues, site?: Site): RenderedSql {
  const bound: BoundValue[] = [];
  const placeholders = new Map<number, number>();
  const motions = new Map<number, string>();
  let sql = '';
  for (const part of template) {
    if (typeof part === 'string') sql += part;
    else if ('parameter' in part) {
      let placeholder = placeholders.get(part.parameter);
      if (placeholder === undefined) {
        const value = values.parameters[part.parameter];
        assert(value !== undefined, `no parameter $${part.parameter + 1}`);
        bound.push({ ...value, typeOid: 0 });
        placeholder = bound.length;
        placeholders.set(part.parameter, placeholder);
      }
      sql += `$${placeholder}`;
    } else if ('constant' in part) sql += constantLiteral(values, part.constant);
    else if ('motion' in part) {
      let rows = motions.get(part.motion);
      if (rows === undefined) {
        const item = values.motion(part.motion, bound.length + 1, site);
        bound.push(...item.values);
        rows = item.sql;
        motions.set(part.motion, rows);
      }
      sql += rows;
    } else if ('site' in part) {
      assert(typeof site === 'number', 'a template that asks for its node runs on a node');
      sql += String(site);
    } else if ('rowsLeft' in part) sql += String(part.rowsLeft);
    else unreachable(part);
  }
  return { sql, values: bound };
}

function constantLiteral(values: TemplateValues, index: number): string {
  const type = values.constantTypes[index];
  assert(type !== undefined, `no constant ${index}`);
  const text = values.constants[index];
  if (text === undefined && values.lateConstant !== undefined) return values.lateConstant(index);
  assert(text !== undefined, `constant ${index} is not known yet`);
  return text === null ? `NULL::${type.typeName}` : `${quoteLiteral(text)}::${type.typeName}`;
}
