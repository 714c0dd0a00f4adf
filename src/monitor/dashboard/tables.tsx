import type { EChartsOption } from 'echarts';
import { bytesText, durationText } from '../figures.ts';
import { Chart } from './chart.tsx';
import { Asked, Card, Table } from './parts.tsx';
import { useAsked, usePage } from './state.ts';

interface Shard {
  readonly table: string;
  readonly shard: number;
  readonly node: string;
  readonly bytes: number;
  readonly kind: string;
  readonly calls: number;
  readonly meanMs: number;
}

export function Tables() {
  const { words } = usePage();
  const answer = useAsked<readonly Shard[]>('/api/tables', 15_000);
  return (
    <Asked answer={answer}>
      {(shards) =>
        shards.length === 0 ? (
          <p class="quiet">{words.noTables}</p>
        ) : (
          <div class="grid">
            <Card title={words.sizes}>
              <Chart tall label={words.sizes} option={treemap(shards)} />
            </Card>
            <Card title={words.balance}>
              <Chart tall label={words.balance} option={balance(shards)} />
            </Card>
            <Card title={words.skew} wide>
              <Skew shards={shards} />
            </Card>
          </div>
        )
      }
    </Asked>
  );
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

const sum = (shards: readonly Shard[]) => shards.reduce((bytes, shard) => bytes + shard.bytes, 0);

function treemap(shards: readonly Shard[]): EChartsOption {
  const tables = [...groupBy(shards, ({ table }) => table)];
  return {
    tooltip: { valueFormatter: (value) => bytesText(Number(value)) },
    series: [
      {
        ...{ type: 'treemap', roam: false, left: 0, right: 0, top: 0, bottom: 0, leafDepth: 2 },
        ...{ breadcrumb: { show: false }, upperLabel: { show: true, height: 22 } },
        levels: [
          { itemStyle: { gapWidth: 3, borderWidth: 0 }, upperLabel: { show: false } },
          { colorSaturation: [0.35, 0.6], itemStyle: { gapWidth: 1, borderColorSaturation: 0.5 } },
        ],
        label: { formatter: '{b}' },
        data: tables.map(([name, own]) => ({
          ...{ name, value: sum(own) },
          children: own.map(({ shard, node, bytes }) => ({ name: `${shard} ${node}`, value: bytes })),
        })),
      },
    ],
  };
}

function balance(shards: readonly Shard[]): EChartsOption {
  const nodes = [...new Set(shards.map(({ node }) => node))].sort();
  const tables = [...groupBy(shards, ({ table }) => table)];
  return {
    grid: { left: 8, right: 16, top: 36, bottom: 8, containLabel: true },
    legend: { top: 0, type: 'scroll' },
    tooltip: { trigger: 'axis', valueFormatter: (value) => bytesText(Number(value)) },
    xAxis: { type: 'category', data: nodes },
    yAxis: { type: 'value', axisLabel: { formatter: (value: number) => bytesText(value) } },
    series: tables.map(([name, own]) => ({
      ...{ type: 'bar' as const, name, stack: 'bytes' },
      data: nodes.map((node) => sum(own.filter((shard) => shard.node === node))),
    })),
  };
}

function Skew({ shards }: { shards: readonly Shard[] }) {
  const { words } = usePage();
  const rows = [...groupBy(shards, ({ table }) => table)].map(([table, own]) => {
    const largest = Math.max(...own.map(({ bytes }) => bytes));
    const average = sum(own) / own.length;
    const calls = own.reduce((all, shard) => all + shard.calls, 0);
    const spent = own.reduce((all, shard) => all + shard.calls * shard.meanMs, 0);
    const ratio = average > 0 ? largest / average : 1;
    return {
      table,
      kind: own[0]?.kind ?? '',
      count: own.length,
      bytes: sum(own),
      largest,
      average,
      ratio,
      calls,
      spent,
    };
  });
  return (
    <Table
      label={words.skew}
      empty={words.noTables}
      rows={rows.sort((a, b) => b.ratio - a.ratio)}
      columns={[
        { title: words.table, show: ({ table }) => table },
        { title: words.kind, show: ({ kind }) => kind },
        { title: words.shards, number: true, show: ({ count }) => count },
        { title: words.size, number: true, show: ({ bytes }) => bytesText(bytes) },
        { title: words.largest, number: true, show: ({ largest }) => bytesText(largest) },
        { title: words.average, number: true, show: ({ average }) => bytesText(average) },
        {
          title: words.ratio,
          number: true,
          show: ({ ratio }) => <span class={ratio > 3 ? 'bad' : ''}>{ratio.toFixed(2)}</span>,
        },
        { title: words.calls, number: true, show: ({ calls }) => calls },
        { title: words.mean, number: true, show: ({ calls, spent }) => (calls ? durationText(spent / calls) : '–') },
      ]}
    />
  );
}
