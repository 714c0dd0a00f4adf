import { bytesText, durationText } from '../figures.ts';
import type { Report } from '../report.ts';
import { Chart, lines } from './chart.tsx';
import { Card, Table } from './parts.tsx';
import { usePage } from './state.ts';
import { Topology } from './topology.tsx';

export function Overview() {
  const { state, words } = usePage();
  const report = state?.report;
  if (!report) return <p class="quiet">{words.waiting}</p>;
  return (
    <div class="grid">
      <Card title={words.score}>
        <Score score={report.health_score} />
        <Unseen report={report} />
      </Card>
      <Card title={`${words.alerts} (${report.alerts.length})`}>
        <Alerts report={report} />
      </Card>
      <Card title={words.topology}>
        <Topology report={report} />
      </Card>
      <Card title={words.nodes}>
        <Servers report={report} />
      </Card>
      <Card title={words.throughput}>
        <Throughput />
      </Card>
      <Card title={words.latency}>
        <Latency />
      </Card>
    </div>
  );
}

function Score({ score }: { score: number | null }) {
  const tone = score === null ? 'quiet' : score >= 100 ? 'good' : score >= 60 ? 'warn' : 'bad';
  return <p class={`score ${tone}`}>{score === null ? '?' : `${score.toFixed(0)} %`}</p>;
}

function Unseen({ report }: { report: Report }) {
  const { words } = usePage();
  const entries = Object.entries(report.unseen);
  if (entries.length === 0) return null;
  return (
    <details>
      <summary>{words.unseen}</summary>
      <ul>
        {entries.map(([part, why]) => (
          <li key={part}>
            {part}: {why}
          </li>
        ))}
      </ul>
    </details>
  );
}

function Alerts({ report }: { report: Report }) {
  const { words, language } = usePage();
  if (report.alerts.length === 0) return <p class="good">{words.noAlerts}</p>;
  return (
    <ul class="alerts" aria-live="polite">
      {report.alerts.map((alert) => (
        <li key={`${alert.kind}/${alert.subject}`} class={alert.severity}>
          <strong>{alert.message}</strong>
          <br />
          <span class="quiet">
            {words.since} {new Date(alert.since).toLocaleTimeString(language)}
          </span>
          <details>
            <summary>{words.todo}</summary>
            {alert.advice}
          </details>
        </li>
      ))}
    </ul>
  );
}

type Server = NonNullable<Report['cluster_health']['servers']>[number];

function Servers({ report }: { report: Report }) {
  const { words } = usePage();
  const shards = new Map((report.cluster_health.shards ?? []).map((each) => [each.node, each]));
  const performance = report.cluster_health.performance?.by_node ?? [];
  const means = new Map(performance.map(({ node, mean_time }) => [node, mean_time]));
  const facts = (server: Server) => ('max_connections' in server ? server : null);
  return (
    <Table
      label={words.nodes}
      empty={words.none}
      rows={report.cluster_health.servers ?? []}
      columns={[
        { title: words.name, show: ({ name }) => name },
        {
          title: words.state,
          show: ({ reachable }) => <span class={reachable ? 'good' : 'bad'}>{reachable ? words.up : words.down}</span>,
        },
        { title: words.shards, number: true, show: ({ name }) => shards.get(name)?.count ?? 0 },
        {
          title: words.size,
          number: true,
          show: (server) => (facts(server) ? bytesText(facts(server)?.database_size ?? 0) : '–'),
        },
        {
          title: words.connections,
          number: true,
          show: (server) => (facts(server) ? `${facts(server)?.connections}/${facts(server)?.max_connections}` : '–'),
        },
        {
          title: words.answers,
          number: true,
          show: (server) => (facts(server)?.answer_ms == null ? '–' : durationText(facts(server)?.answer_ms ?? 0)),
        },
        {
          title: words.perStatement,
          number: true,
          show: ({ name }) => (means.has(name) ? durationText(means.get(name) ?? 0) : '–'),
        },
        { title: words.running, number: true, show: (server) => facts(server)?.active ?? '–' },
      ]}
    />
  );
}

function Throughput() {
  const { state, words } = usePage();
  const samples = state?.samples ?? [];
  const series = [
    { name: words.perSecond, data: samples.map((s) => [s.atMs, s.statementsPerSecond] as const) },
    { name: words.failed, data: samples.map((s) => [s.atMs, s.errorsPerSecond] as const) },
  ];
  return <Chart label={words.throughput} option={lines(series, (value) => value.toFixed(value < 10 ? 1 : 0))} />;
}

function Latency() {
  const { state, words } = usePage();
  const samples = state?.samples ?? [];
  const series = [
    { name: words.median, data: samples.map((s) => [s.atMs, s.medianMs] as const) },
    { name: '95 %', data: samples.map((s) => [s.atMs, s.p95Ms] as const) },
    { name: '99 %', data: samples.map((s) => [s.atMs, s.p99Ms] as const) },
  ];
  return <Chart label={words.latency} option={lines(series, durationText)} />;
}
