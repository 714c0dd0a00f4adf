import { bytesText, durationText } from '../figures.ts';
import { Chart, lines } from './chart.tsx';
import { Card, Table } from './parts.tsx';
import { usePage } from './state.ts';

export function Replication() {
  const { state, words } = usePage();
  const lags = state?.report?.replication_status.replication_lag ?? [];
  const seen = state?.lags ?? [];
  const names = [...new Set(seen.flatMap(({ bytes }) => Object.keys(bytes)))];
  const series = names.map((name) => ({
    name,
    data: seen.map(({ atMs, bytes }) => [atMs, bytes[name] ?? null] as const),
  }));
  const both = (bytes: number | null, ms: number | null) =>
    bytes === null ? '–' : `${bytesText(bytes)}${ms === null ? '' : ` · ${durationText(ms)}`}`;
  return (
    <div class="grid">
      <Card title={words.lag} wide>
        {names.length === 0 ? (
          <p class="quiet">{words.noStandby}</p>
        ) : (
          <Chart label={words.lag} option={lines(series, bytesText)} />
        )}
      </Card>
      <Card title={words.lags} wide>
        <Table
          label={words.lags}
          empty={words.noStandby}
          rows={lags}
          columns={[
            { title: words.node, show: ({ node }) => node },
            { title: words.standby, show: ({ application, client }) => `${application} ${client ?? ''}` },
            { title: words.state, show: (lag) => `${lag.state}, ${lag.sync}` },
            { title: words.sent, number: true, show: (lag) => both(lag.sent_lag, null) },
            { title: words.write, number: true, show: (lag) => both(lag.write_lag, lag.write_ms) },
            { title: words.flush, number: true, show: (lag) => both(lag.flush_lag, lag.flush_ms) },
            {
              title: words.replay,
              number: true,
              show: (lag) => (
                <span class={(lag.replay_lag ?? 0) > 1_000_000 ? 'bad' : ''}>
                  {both(lag.replay_lag, lag.replay_ms)}
                </span>
              ),
            },
          ]}
        />
      </Card>
    </div>
  );
}
