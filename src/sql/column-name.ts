import type { Node } from '@pgsql/types';
import { nameParts, unwrap } from './walk.ts';

/**
 * The name PostgreSQL gives a column of a SELECT list that has no AS: FigureColname() in parse_target.c. Needed where
 * splicing changes an expression that the name is taken from.
 */
export function figureColumnName(node: Node): string {
  return figure(node)?.name ?? '?column?';
}

/** A weak name (of a type) gives way to a strong one (of a column or function) further out. */
interface Figured {
  readonly name: string;
  readonly weak: boolean;
}

const strong = (name: string): Figured => ({ name, weak: false });

function figure(node: Node): Figured | null {
  if ('ColumnRef' in node) return lastName(nameParts(node.ColumnRef.fields));
  if ('A_Indirection' in node) {
    const fields = (node.A_Indirection.indirection ?? []).filter((part) => 'String' in part);
    return lastName(nameParts(fields)) ?? (node.A_Indirection.arg ? figure(node.A_Indirection.arg) : null);
  }
  if ('FuncCall' in node) return lastName(nameParts(node.FuncCall.funcname));
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? strong('nullif') : null;
  if ('TypeCast' in node) {
    const inner = node.TypeCast.arg ? figure(node.TypeCast.arg) : null;
    if (inner && !inner.weak) return inner;
    const type = lastName(nameParts(node.TypeCast.typeName?.names));
    return type ? { name: type.name, weak: true } : inner;
  }
  if ('CollateClause' in node) return node.CollateClause.arg ? figure(node.CollateClause.arg) : null;
  if ('SubLink' in node) return figureSubLink(node.SubLink);
  if ('CaseExpr' in node) {
    const otherwise = node.CaseExpr.defresult ? figure(node.CaseExpr.defresult) : null;
    return otherwise && !otherwise.weak ? otherwise : { name: 'case', weak: true };
  }
  const { kind, fields } = unwrap(node);
  if (kind === 'SQLValueFunction') return strong(sqlValueNames[String(fields['op'])] ?? '?column?');
  if (kind === 'MinMaxExpr') return strong(fields['op'] === 'IS_GREATEST' ? 'greatest' : 'least');
  if (kind === 'XmlExpr') return xmlNames[String(fields['op'])] ? strong(xmlNames[String(fields['op'])]!) : null;
  if (kind === 'JsonFuncExpr') return jsonNames[String(fields['op'])] ? strong(jsonNames[String(fields['op'])]!) : null;
  const fixed = fixedNames[kind];
  return fixed === undefined ? null : strong(fixed);
}

function lastName(names: readonly (string | null)[]): Figured | null {
  const name = names.filter((part) => part !== null).at(-1);
  return name === undefined ? null : strong(name);
}

function figureSubLink(link: { subLinkType?: string; subselect?: Node }): Figured | null {
  if (link.subLinkType === 'EXISTS_SUBLINK') return strong('exists');
  if (link.subLinkType === 'ARRAY_SUBLINK') return strong('array');
  if (link.subLinkType !== 'EXPR_SUBLINK' || !link.subselect || !('SelectStmt' in link.subselect)) return null;
  let select = link.subselect.SelectStmt;
  while (select.larg) select = select.larg;
  const [target] = select.targetList ?? [];
  if (!target || !('ResTarget' in target)) return select.valuesLists ? strong('column1') : null;
  if (target.ResTarget.name) return strong(target.ResTarget.name);
  return target.ResTarget.val ? figure(target.ResTarget.val) : null;
}

const sqlValueNames: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: 'current_date',
  SVFOP_CURRENT_TIME: 'current_time',
  SVFOP_CURRENT_TIME_N: 'current_time',
  SVFOP_CURRENT_TIMESTAMP: 'current_timestamp',
  SVFOP_CURRENT_TIMESTAMP_N: 'current_timestamp',
  SVFOP_LOCALTIME: 'localtime',
  SVFOP_LOCALTIME_N: 'localtime',
  SVFOP_LOCALTIMESTAMP: 'localtimestamp',
  SVFOP_LOCALTIMESTAMP_N: 'localtimestamp',
  SVFOP_CURRENT_ROLE: 'current_role',
  SVFOP_CURRENT_USER: 'current_user',
  SVFOP_USER: 'user',
  SVFOP_SESSION_USER: 'session_user',
  SVFOP_CURRENT_CATALOG: 'current_catalog',
  SVFOP_CURRENT_SCHEMA: 'current_schema',
};

const xmlNames: Readonly<Record<string, string>> = {
  IS_XMLCONCAT: 'xmlconcat',
  IS_XMLELEMENT: 'xmlelement',
  IS_XMLFOREST: 'xmlforest',
  IS_XMLPARSE: 'xmlparse',
  IS_XMLPI: 'xmlpi',
  IS_XMLROOT: 'xmlroot',
};

const jsonNames: Readonly<Record<string, string>> = {
  JSON_EXISTS_OP: 'json_exists',
  JSON_QUERY_OP: 'json_query',
  JSON_VALUE_OP: 'json_value',
};

const fixedNames: Readonly<Record<string, string>> = {
  GroupingFunc: 'grouping',
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  CoalesceExpr: 'coalesce',
  MergeSupportFunc: 'merge_action',
  XmlSerialize: 'xmlserialize',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  JsonObjectConstructor: 'json_object',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg',
  JsonArrayAgg: 'json_arrayagg',
};
