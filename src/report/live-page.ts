import { chartLibrary, escapeHtml, htmlPage, scriptValue } from './html-page.ts';
import type { LiveRules } from './live-risk.ts';
import { type Language, words } from './words.ts';

const en = {
  title: 'Risk, live',
  accounts: 'Risky accounts',
  alerts: 'Alerts',
  open: 'Open alerts',
  state: 'State',
  live: 'live',
  lost: 'No connection to pgherd: trying again',
  blind: 'The database can’t be asked since',
  none: 'No account breaks a rule at present.',
  noAlerts: 'There has been no alert yet.',
  transactions: 'Transactions',
  amount: 'Amount',
  risk: 'Average risk',
  last: 'Last',
  reasons: 'Why',
  byRisk: 'risk',
  byAmount: 'amount',
  began: 'Began',
  ended: 'Ended',
  goesOn: 'goes on',
  largest: 'Largest amounts',
  rules: (rules: LiveRules) =>
    `In the last ${rules.window}: average risk above ${rules.risk}, or amounts above ${rules.amount}`,
};

const zh: typeof en = {
  title: '实时风险监控',
  accounts: '风险账户',
  alerts: '告警',
  open: '未结束告警',
  state: '状态',
  live: '实时',
  lost: '与 pgherd 的连接中断，正在重试',
  blind: '无法查询数据库，自',
  none: '目前没有账户触发规则。',
  noAlerts: '尚无告警。',
  transactions: '交易笔数',
  amount: '金额',
  risk: '平均风险',
  last: '最近交易',
  reasons: '原因',
  byRisk: '风险',
  byAmount: '金额',
  began: '开始',
  ended: '结束',
  goesOn: '持续中',
  largest: '金额最大的账户',
  rules: (rules) => `最近 ${rules.window} 内：平均风险高于 ${rules.risk}，或金额合计高于 ${rules.amount}`,
};

const liveWords = { en, zh };

/** The page of `pgherd report live`: everything that changes comes from `/events`. */
export function livePage(rules: LiveRules, language: Language): string {
  const texts = liveWords[language];
  const { account } = words[language];
  const head = (names: readonly string[]) => names.map((name) => `<th scope="col">${escapeHtml(name)}</th>`).join('');
  const body = `<h1>${texts.title}</h1>
<p class="soft">${escapeHtml(texts.rules(rules))}</p>
<dl class="facts">
  <div><dt>${texts.state}</dt><dd id="state" role="status" aria-live="polite">…</dd></div>
  <div><dt>${texts.open}</dt><dd id="open">…</dd></div>
  <div><dt>${texts.accounts}</dt><dd id="count">…</dd></div>
</dl>
<h2>${texts.largest}</h2><div id="chart" class="chart"></div>
<h2>${texts.accounts}</h2><p class="empty" id="no-accounts" hidden>${texts.none}</p>
<div class="scroll"><table><thead><tr>${head([account, texts.transactions, texts.amount, texts.risk, texts.last, texts.reasons])}</tr></thead><tbody id="accounts"></tbody></table></div>
<h2>${texts.alerts}</h2><p class="empty" id="no-alerts" hidden>${texts.noAlerts}</p>
<div class="scroll"><table><thead><tr>${head([account, texts.reasons, texts.amount, texts.risk, texts.began, texts.ended])}</tr></thead><tbody id="alerts" aria-live="polite"></tbody></table></div>`;
  const { rules: _, ...plainTexts } = texts;
  const data = { texts: plainTexts, amountLimit: Number(rules.amount) };
  const scripts = [chartLibrary(), `(() => { const { texts, amountLimit } = ${scriptValue(data)};${client} })();`];
  return htmlPage({ words: words[language], title: texts.title, body, scripts, connects: true });
}

/** The browser's part. Texts go in as text, never as HTML. */
const client = `
  const at = (id) => document.getElementById(id);
  const style = getComputedStyle(document.documentElement);
  const [ink, line] = ['--ink', '--line'].map((name) => style.getPropertyValue(name).trim());
  const chart = echarts.init(at('chart'), null, { renderer: 'svg' });
  addEventListener('resize', () => chart.resize());
  const grouped = (text) => text.replace(/^(-?\\d+)/, (whole) => whole.replace(/\\B(?=(\\d{3})+(?!\\d))/g, ','));
  const why = (reasons) => reasons.map((reason) => (reason === 'risk' ? texts.byRisk : texts.byAmount)).join(', ');
  const time = (text) => text.replace('T', ' ').slice(0, 19);
  const fill = (body, rows) => body.replaceChildren(...rows.map(({ cells, alarm }) => {
    const row = document.createElement('tr');
    if (alarm) row.className = 'alarm';
    for (const text of cells) row.appendChild(document.createElement('td')).textContent = text;
    return row;
  }));
  const draw = (accounts) => {
    const top = accounts.slice(0, 12).reverse();
    chart.setOption({
      animation: false, grid: { left: 8, right: 90, top: 8, bottom: 8, containLabel: true },
      xAxis: { type: 'value', axisLabel: { color: ink, hideOverlap: true }, splitLine: { lineStyle: { color: line } } },
      yAxis: { type: 'category', data: top.map((each) => each.accountId), axisLabel: { color: ink } },
      series: [{ type: 'bar', barMaxWidth: 22, data: top.map((each) => ({ value: Number(each.amount), itemStyle: { color: Number(each.amount) > amountLimit ? '#b3261e' : '#e0a030' } })),
        label: { show: true, position: 'right', color: ink, formatter: (item) => grouped(top[item.dataIndex].amount) } }],
    }, true);
  };
  const show = (state) => {
    at('state').textContent = state.blind ? texts.blind + ' ' + time(state.blind.since) + ': ' + state.blind.why : texts.live + ', ' + time(state.at) + ' UTC';
    at('state').className = state.blind ? 'alarm' : '';
    at('open').textContent = state.openAlerts;
    at('open').className = state.openAlerts > 0 ? 'alarm' : '';
    at('count').textContent = state.accountCount;
    document.title = (state.openAlerts > 0 ? '(' + state.openAlerts + ') ' : '') + texts.title;
    at('no-accounts').hidden = state.accounts.length > 0;
    at('no-alerts').hidden = state.alerts.length > 0;
    at('chart').hidden = state.accounts.length === 0;
    fill(at('accounts'), state.accounts.map((each) => ({ cells: [each.accountId, grouped(each.transactions), grouped(each.amount), each.averageRisk.toFixed(3), time(each.last), why(each.reasons)] })));
    fill(at('alerts'), state.alerts.map((each) => ({ alarm: each.endedAt === null, cells: [each.accountId, why(each.reasons), grouped(each.amount), each.averageRisk.toFixed(3), time(each.beganAt), each.endedAt ? time(each.endedAt) : texts.goesOn] })));
    chart.resize();
    draw(state.accounts);
  };
  const events = new EventSource('/events');
  events.onmessage = (event) => show(JSON.parse(event.data));
  events.onerror = () => { at('state').textContent = texts.lost; at('state').className = 'alarm'; };
`;
