import { useState } from 'preact/hooks';
import { durationText } from '../figures.ts';
import { Asked, Card, Confirm, Table } from './parts.tsx';
import { fetchJson, useAsked, usePage } from './state.ts';

interface Process {
  readonly globalPid: string;
  readonly node: string;
  readonly user: string;
  readonly application: string;
  readonly state: string;
  readonly wait: string | null;
  readonly query: string;
  readonly ms: number;
}

interface Wish {
  readonly process: Process;
  readonly how: 'cancel' | 'terminate';
}

export function Activity() {
  const { words } = usePage();
  const answer = useAsked<readonly Process[]>('/api/activity', 3_000);
  const [wish, setWish] = useState<Wish | null>(null);
  const [said, setSaid] = useState('');
  const decide = async (yes: boolean) => {
    setWish(null);
    if (!yes || wish === null) return;
    const { globalPid } = wish.process;
    const outcome = await fetchJson<{ passedOn: boolean }>('/api/signal', { globalPid, how: wish.how });
    if (outcome.kind === 'failed') setSaid(outcome.why);
    else if (outcome.kind === 'value') setSaid(outcome.value.passedOn ? words.passed : words.notPassed);
  };
  const button = (process: Process, how: Wish['how'], text: string) => (
    <button type="button" onClick={() => setWish({ process, how })} aria-label={`${text} ${process.globalPid}`}>
      {text}
    </button>
  );
  return (
    <Card title={words.activity} wide>
      <p role="status">{said}</p>
      <Asked answer={answer}>
        {(processes) => (
          <Table
            label={words.activity}
            empty={words.idle}
            rows={processes}
            columns={[
              { title: words.node, show: ({ node }) => node },
              { title: words.runs, number: true, show: ({ ms }) => durationText(ms) },
              { title: words.state, show: ({ state }) => state },
              { title: words.wait, show: ({ wait }) => wait ?? '' },
              { title: words.user, show: ({ user }) => user },
              { title: words.application, show: ({ application }) => application },
              { title: words.query, show: ({ query }) => <code>{query.slice(0, 500)}</code> },
              {
                title: '',
                show: (process) => (
                  <>
                    {button(process, 'cancel', words.cancel)} {button(process, 'terminate', words.end)}
                  </>
                ),
              },
            ]}
          />
        )}
      </Asked>
      {wish && (
        <Confirm
          question={wish.how === 'cancel' ? words.sureCancel : words.sureEnd}
          detail={wish.process.query.slice(0, 1_000)}
          onAnswer={decide}
        />
      )}
    </Card>
  );
}
