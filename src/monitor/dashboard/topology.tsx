import { bytesText } from '../figures.ts';
import type { Report } from '../report.ts';
import { usePage } from './state.ts';
import type { Words } from './words.ts';

interface Spot {
  readonly key: string;
  readonly name: string;
  readonly detail: string;
  readonly tone: 'good' | 'bad' | 'main';
  readonly x: number;
  readonly y: number;
  /** The spot that it hangs on. */
  readonly under: string | null;
}

const cell = { width: 150, height: 130 };

/** The router, the servers beneath it, their standbys beneath those. Colour and word both say the state. */
export function Topology({ report }: { report: Report }) {
  const { words } = usePage();
  const spots = spotsOf(report, words);
  const byKey = new Map(spots.map((spot) => [spot.key, spot]));
  const right = Math.max(...spots.map(({ x }) => x)) + cell.width / 2;
  const bottom = Math.max(...spots.map(({ y }) => y)) + cell.height / 2;
  const label = spots.map(({ name, detail }) => `${name}: ${detail}`).join('; ');
  return (
    <svg class="topology" viewBox={`0 0 ${right} ${bottom}`} role="img" aria-label={label}>
      <title>{label}</title>
      {spots.map(({ key, under, x, y, tone }) => {
        const above = under === null ? undefined : byKey.get(under);
        return above && <line key={`${key}-line`} class={tone} x1={above.x} y1={above.y} x2={x} y2={y} />;
      })}
      {spots.map(({ key, name, detail, tone, x, y }) => (
        <g key={key}>
          <circle class={tone} cx={x} cy={y} r="17" />
          <text x={x} y={y + 34}>
            {name}
          </text>
          <text class="detail" x={x} y={y + 50}>
            {detail}
          </text>
        </g>
      ))}
    </svg>
  );
}

function spotsOf(report: Report, words: Words): Spot[] {
  const servers = report.cluster_health.servers ?? [];
  const lags = report.replication_status.replication_lag ?? [];
  const columns = Math.max(servers.length, lags.length, 1);
  const xOf = (i: number, count: number) => ((i + 0.5) * columns * cell.width) / count;
  const yOf = (level: number) => (level + 0.35) * cell.height;
  const ofServers = servers.map(({ id, name, reachable }, i): Spot => {
    const role = id === 0 ? words.coordinator : words.primary;
    const tone = reachable ? 'good' : 'bad';
    const detail = `${id === 0 && name === 'coordinator' ? '' : `${role}, `}${reachable ? words.up : words.down}`;
    return { key: name, name, detail, tone, x: xOf(i, servers.length), y: yOf(1), under: '' };
  });
  const ofStandbys = lags.map(({ node, application, replay_lag: behind }, i): Spot => {
    const tone = (behind ?? 0) > 1_000_000 ? 'bad' : 'good';
    const detail = `${words.standby}, ${behind === null ? '?' : bytesText(behind)}`;
    const x = lags.length === 1 ? (ofServers.find(({ key }) => key === node)?.x ?? xOf(i, 1)) : xOf(i, lags.length);
    return { key: `${node}/${application}`, name: application, detail, tone, x, y: yOf(2), under: node };
  });
  const router: Spot = {
    ...{ key: '', name: words.router, detail: words.up, tone: 'main', x: xOf(0, 1), y: yOf(0), under: null },
  };
  return [router, ...ofServers, ...ofStandbys];
}
