import { bytesText, durationText } from '../figures.ts';

export interface PlanNode {
  readonly 'Node Type': string;
  readonly Step?: string;
  readonly Motion?: string;
  readonly Servers?: readonly string[];
  readonly SQL?: string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly Filter?: string;
  readonly 'Plan Rows'?: number;
  readonly 'Total Cost'?: number;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Total Time'?: number;
  readonly 'Tuple Data Received'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** A plan as nested lists: steps and motions with the servers they run on, and beneath each a server's own plan. */
export function PlanTree({ plan }: { plan: PlanNode }) {
  const highest = Math.max(...weights(plan), 1e-9);
  return (
    <ul class="plan">
      <Step node={plan} highest={highest} />
    </ul>
  );
}

function Step({ node, highest }: { node: PlanNode; highest: number }) {
  const { Plans: children = [], Servers: servers = [], SQL: sql } = node;
  const name = node.Step ?? [node['Node Type'], node['Relation Name'], node['Index Name']].filter(Boolean).join(' ');
  const share = Math.round((weightOf(node) / highest) * 80);
  return (
    <li>
      <span class="bar" style={{ width: `${share + 2}px` }} aria-hidden="true" />
      <strong>{name}</strong> {servers.length > 0 && <span>→ {servers.join(', ')} </span>}
      <span class="quiet">{figures(node)}</span>
      {node.Filter && <div class="quiet">{node.Filter}</div>}
      {sql && (
        <details>
          <summary>SQL</summary>
          <pre>{sql}</pre>
        </details>
      )}
      {children.length > 0 && (
        <ul>
          {children.map((child, i) => (
            <Step key={i} node={child} highest={highest} />
          ))}
        </ul>
      )}
    </li>
  );
}

function figures(node: PlanNode): string {
  const { 'Actual Rows': rows = node['Plan Rows'], 'Actual Total Time': time } = node;
  const { 'Tuple Data Received': bytes } = node;
  return [
    rows === undefined ? '' : `${rows} rows`,
    time === undefined ? '' : durationText(time),
    bytes === undefined ? '' : bytesText(bytes),
  ]
    .filter(Boolean)
    .join(', ');
}

/** What it costs: the time it took, or else the estimate. */
function weightOf(node: PlanNode): number {
  return node['Actual Total Time'] ?? node['Total Cost'] ?? 0;
}

function weights(node: PlanNode): number[] {
  return [weightOf(node), ...(node.Plans ?? []).flatMap(weights)];
}
