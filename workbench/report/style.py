"""How the page looks: on a phone, on a wide screen, light, dark, printed."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5c6370; --paper: #ffffff;
  --rule: #d8dce2; --card: #f5f6f8; --mark: #0b6bcb; --good: #18794e; --bad: #c62a2f;
  --heat: 11, 107, 203; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --soft: #9aa2ae; --paper: #16181c;
  --rule: #343941; --card: #1e2126; --mark: #6cb6ff; --good: #4cc38a; --bad: #ff6369;
  --heat: 108, 182, 255; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1rem 0 .25rem; } p { margin: .25rem 0 .75rem; }
.soft, small { color: var(--soft); } .good { color: var(--good); } .bad { color: var(--bad); }
.scroll { overflow-x: auto; } .scroll td, .scroll th { overflow-wrap: normal; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .6rem .2rem 0; text-align: right; border-bottom: 1px solid var(--rule);
  vertical-align: top; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } thead th { color: var(--soft);
  font-weight: 600; } td.text, th.text { text-align: left; white-space: normal; }
td small { display: block; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .5rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
pre { background: var(--card); padding: .75rem; border-radius: .4rem; overflow-x: auto;
  white-space: pre-wrap; font: .85rem/1.45 ui-monospace, monospace; margin: .5rem 0; }
figure { margin: .5rem 0; max-width: 44rem; } figcaption { color: var(--soft); font-size: .9rem; }
svg { width: 100%; height: auto; display: block; font: 14px system-ui, sans-serif; }
svg text { fill: var(--soft); } svg text.label { fill: var(--ink); font-weight: 600; }
svg text.iso { font-size: 12px; } svg path, svg polyline { fill: none; }
.grid { stroke: var(--rule); stroke-width: .6; } .axis { stroke: var(--soft); }
.iso { stroke: var(--rule); stroke-dasharray: 4 4; stroke-width: 1.2; }
text.iso { stroke: none; } .way { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 3; }
.curve { stroke: var(--mark); stroke-width: 2; } .edit { stroke: var(--bad);
  stroke-dasharray: 3 3; }
.dot { fill: var(--mark); stroke: var(--paper); } .dot.opened { fill: var(--soft); }
.dot.best { fill: var(--good); } .dot.current { stroke: var(--ink); stroke-width: 2; }
ul.tree { list-style: none; padding: 0; margin: .5rem 0; }
ul.tree li { padding: .3rem 0 .3rem .6rem; border-left: 3px solid var(--rule);
  margin-left: calc(min(var(--depth), 6) * .9rem); }
ul.tree li.current { border-color: var(--mark); } ul.tree li.best { border-color: var(--good); }
.tag { font-size: .75rem; border: 1px solid currentColor; border-radius: .3rem;
  padding: 0 .3rem; }
.map td { text-align: center; padding: .15rem .4rem; min-width: 2rem;
  border: 1px solid var(--rule); }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--mark); }
@media (min-width: 60rem) { .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 2rem; } }
@media (max-width: 30rem) { table { font-size: .85rem; } th, td { padding-right: .4rem; }
  .map td { padding: .1rem .2rem; min-width: 1.4rem; } svg { font-size: 18px; }
  svg text.iso { font-size: 15px; } }
@media print { body { max-width: none; padding: 0; font-size: 11pt; }
  figure, table, li { break-inside: avoid; } .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; } }
"""
