import { useRef, useState } from 'preact/hooks';
import { durationText } from '../figures.ts';
import { Card, Table } from './parts.tsx';
import { type PlanNode, PlanTree } from './plan-tree.tsx';
import { type Answer, fetchJson, useKept, usePage } from './state.ts';

type Outcome =
  | {
      readonly kind: 'rows';
      readonly columns: readonly string[];
      readonly rows: readonly (readonly (string | null)[])[];
      readonly tag: string;
      readonly ms: number;
    }
  | { readonly kind: 'error'; readonly error: Readonly<Record<string, string>>; readonly ms: number };

type Explain = 'no' | 'plan' | 'run';

export function Console() {
  const { words } = usePage();
  const [sql, setSql] = useKept('pgherd-sql', 'SELECT * FROM citus_tables');
  const [answer, setAnswer] = useState<Answer<{ outcome: Outcome; explain: Explain }>>({ kind: 'none' });
  const running = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);
  const run = async (explain: Explain) => {
    running.current?.abort();
    const own = new AbortController();
    running.current = own;
    setBusy(true);
    const found = await fetchJson<Outcome>('/api/sql', { sql, explain }, own.signal);
    if (running.current !== own) return;
    setBusy(false);
    setAnswer(found.kind === 'value' ? { kind: 'value', value: { outcome: found.value, explain } } : found);
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) void run('no');
  };
  return (
    <div class="grid">
      <Card title={words.statement} wide>
        <textarea
          aria-label={words.statement}
          spellcheck={false}
          value={sql}
          onInput={(event) => setSql(event.currentTarget.value)}
          onKeyDown={onKey}
        />
        <div class="row">
          <button type="button" class="main" onClick={() => run('no')} title="Ctrl+Enter">
            {words.run}
          </button>
          <button type="button" onClick={() => run('plan')}>
            {words.explain}
          </button>
          <button type="button" onClick={() => run('run')}>
            {words.analyze}
          </button>
          {busy && (
            <button type="button" onClick={() => running.current?.abort()}>
              {words.stop}
            </button>
          )}
          <span class="quiet">{words.example}</span>
        </div>
      </Card>
      {answer.kind === 'failed' && (
        <p class="bad" role="alert">
          {answer.why}
        </p>
      )}
      {answer.kind === 'value' && <Result {...answer.value} />}
    </div>
  );
}

function Result({ outcome, explain }: { outcome: Outcome; explain: Explain }) {
  const { words } = usePage();
  if (outcome.kind === 'error') {
    const { severity, code, message, detail, hint, where } = outcome.error;
    return (
      <Card title={words.result} wide>
        <pre class="bad" role="alert">
          {[`${severity} ${code}: ${message}`, detail, hint, where].filter(Boolean).join('\n')}
        </pre>
      </Card>
    );
  }
  const { columns, rows, tag, ms } = outcome;
  if (explain !== 'no' && rows[0]?.[0]) {
    const [document] = JSON.parse(rows[0][0]) as [{ Plan: PlanNode; Rung?: string; Reason?: string }];
    return (
      <Card title={words.plan} wide>
        <p>{[document.Rung, document.Reason].filter(Boolean).join(': ')}</p>
        <PlanTree plan={document.Plan} />
      </Card>
    );
  }
  const isCut = tag.startsWith('SELECT ') && Number(tag.slice(7)) > rows.length;
  return (
    <Card title={`${words.result}: ${tag}, ${durationText(ms)}${isCut ? ` (${words.first})` : ''}`} wide>
      <Table
        label={words.result}
        empty={words.noRows}
        rows={rows}
        columns={columns.map((title, i) => ({
          title,
          show: (row: readonly (string | null)[]) => (row[i] === null ? <em class="quiet">NULL</em> : row[i]),
        }))}
      />
    </Card>
  );
}
