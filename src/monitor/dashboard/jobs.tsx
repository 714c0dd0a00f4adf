import { Asked, Card, Table } from './parts.tsx';
import { useAsked, usePage } from './state.ts';

interface Job {
  readonly id: number;
  readonly kind: string;
  readonly state: string;
  readonly subject: string;
  readonly error: string | null;
  readonly created: string;
  readonly done: number;
  readonly all: number;
}

export function Jobs() {
  const { words } = usePage();
  const answer = useAsked<readonly Job[]>('/api/jobs', 3_000);
  const tone = (state: string) => (state === 'failed' ? 'bad' : state === 'finished' ? 'good' : 'warn');
  return (
    <Card title={words.jobs} wide>
      <Asked answer={answer}>
        {(jobs) => (
          <Table
            label={words.jobs}
            empty={words.noJobs}
            rows={jobs}
            columns={[
              { title: words.job, number: true, show: ({ id }) => id },
              { title: words.kind, show: ({ kind }) => kind },
              { title: words.subject, show: ({ subject }) => subject },
              { title: words.state, show: ({ state }) => <span class={tone(state)}>{state}</span> },
              {
                title: words.progress,
                show: ({ done, all }) => (
                  <>
                    <progress max={all} value={done} aria-label={words.progress} /> {done}/{all} {words.ofNodes}
                  </>
                ),
              },
              { title: words.started, show: ({ created }) => created.slice(0, 19) },
              { title: words.why, show: ({ error }) => error ?? '' },
            ]}
          />
        )}
      </Asked>
    </Card>
  );
}
