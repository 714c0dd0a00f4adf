import type { EChartsOption } from 'echarts';
import { durationText } from '../figures.ts';
import { Chart } from './chart.tsx';
import { Asked, Card, Table } from './parts.tsx';
import { useAsked, usePage } from './state.ts';

interface Wait {
  readonly waiting: string;
  readonly blocking: string;
  readonly node: string;
  readonly waitingQuery: string;
  readonly blockingQuery: string;
}

interface InDoubt {
  readonly gid: string;
  readonly node: string;
  readonly owner: string;
  readonly decision: string | null;
  readonly why: string;
  readonly ms: number;
}

export function Transactions() {
  const { words } = usePage();
  const answer = useAsked<{ inDoubt: readonly InDoubt[]; waits: readonly Wait[] }>('/api/transactions', 3_000);
  return (
    <Asked answer={answer}>
      {({ inDoubt, waits }) => (
        <div class="grid">
          <Card title={words.inDoubt} wide>
            <Table
              label={words.inDoubt}
              empty={words.noDoubt}
              rows={inDoubt}
              columns={[
                { title: words.node, show: ({ node }) => node },
                { title: words.age, number: true, show: ({ ms }) => durationText(ms) },
                { title: words.owner, show: ({ owner }) => owner },
                { title: words.decision, show: ({ decision }) => decision ?? '–' },
                { title: words.why, show: ({ why }) => why },
                { title: 'gid', show: ({ gid }) => <code>{gid}</code> },
              ]}
            />
          </Card>
          <Card title={words.locks} wide>
            {waits.length > 0 && <Chart label={words.locks} option={lockGraph(waits)} />}
            <Table
              label={words.locks}
              empty={words.noLocks}
              rows={waits}
              columns={[
                { title: words.node, show: ({ node }) => node },
                { title: 'pid', show: ({ waiting }) => waiting },
                { title: words.query, show: ({ waitingQuery }) => <code>{waitingQuery.slice(0, 300)}</code> },
                { title: words.waitsFor, show: ({ blocking }) => blocking },
                { title: `${words.query} `, show: ({ blockingQuery }) => <code>{blockingQuery.slice(0, 300)}</code> },
              ]}
            />
          </Card>
        </div>
      )}
    </Asked>
  );
}

function lockGraph(waits: readonly Wait[]): EChartsOption {
  const names = [...new Set(waits.flatMap(({ waiting, blocking }) => [waiting, blocking]))];
  const colour = getComputedStyle(document.documentElement).getPropertyValue('--text').trim();
  return {
    series: [
      {
        ...{ type: 'graph', layout: 'circular', roam: false, symbolSize: 22, top: 30, bottom: 30 },
        edgeSymbol: ['none', 'arrow'],
        label: { show: true, position: 'right', color: colour },
        data: names.map((name) => ({ id: name, name })),
        edges: waits.map(({ waiting, blocking }) => ({ source: waiting, target: blocking })),
        lineStyle: { width: 2, curveness: 0.1 },
      },
    ],
  };
}
