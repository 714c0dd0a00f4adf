import { durationText } from '../figures.ts';
import type { StatementTrend } from '../query-trends.ts';
import { Asked, Card, Table } from './parts.tsx';
import { useAsked, usePage } from './state.ts';

export function Statements() {
  const { state, words } = usePage();
  const answer = useAsked<readonly StatementTrend[]>('/api/statements', 5_000);
  return (
    <div class="grid">
      <Card title={words.byServers} wide>
        <Table
          label={words.byServers}
          empty={words.none}
          rows={state?.report?.slow_queries ?? []}
          columns={[
            { title: words.mean, number: true, show: ({ mean_time }) => durationText(mean_time) },
            { title: words.calls, number: true, show: ({ calls }) => calls },
            { title: words.total, number: true, show: ({ total_time }) => durationText(total_time) },
            { title: words.rows, number: true, show: ({ rows }) => rows ?? '–' },
            { title: words.node, show: ({ node }) => node ?? '–' },
            { title: words.query, show: ({ query }) => <code>{query}</code> },
          ]}
        />
      </Card>
      <Card title={words.byRouter} wide>
        <Asked answer={answer}>
          {(statements) => (
            <Table
              label={words.byRouter}
              empty={words.none}
              rows={[...statements].sort((a, b) => b.meanMs - a.meanMs)}
              columns={[
                { title: words.mean, number: true, show: ({ meanMs }) => durationText(meanMs) },
                { title: words.longest, number: true, show: ({ maxMs }) => durationText(maxMs) },
                { title: words.calls, number: true, show: ({ calls }) => calls },
                { title: words.total, number: true, show: ({ totalMs }) => durationText(totalMs) },
                { title: words.trend, show: ({ trend }) => <Spark points={trend.map(({ meanMs }) => meanMs)} /> },
                { title: words.rung, show: ({ rung }) => rung },
                { title: words.query, show: ({ query }) => <code>{query.slice(0, 600)}</code> },
              ]}
            />
          )}
        </Asked>
      </Card>
    </div>
  );
}

/** The mean of the last readings, the newest at the right. */
function Spark({ points }: { points: readonly (number | null)[] }) {
  const known = points.filter((ms) => ms !== null);
  if (known.length === 0) return <>–</>;
  const highest = Math.max(...known, 0.001);
  const step = 100 / Math.max(points.length - 1, 1);
  const dots = points.flatMap((ms, i) => (ms === null ? [] : [[i * step, 24 - (ms / highest) * 22] as const]));
  const label = `${durationText(known[0] ?? 0)} → ${durationText(known.at(-1) ?? 0)}`;
  return (
    <svg class="spark" viewBox="0 0 104 26" role="img" aria-label={label}>
      <title>{label}</title>
      <polyline
        fill="none"
        stroke="currentColor"
        stroke-width="1.5"
        points={dots.map((dot) => dot.join(',')).join(' ')}
      />
      {dots.map(([x, y]) => (
        <circle key={x} cx={x} cy={y} r="1.8" fill="currentColor" />
      ))}
    </svg>
  );
}
