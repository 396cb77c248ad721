"""The little CSS that the second page needs besides the first one's."""

CSS = """
#tabs button[role="tab"][aria-selected="true"] { color: var(--primary-700); font-weight: 700; }
.dark #tabs button[role="tab"][aria-selected="true"] { color: var(--primary-300); }
#learn-advanced input:focus-visible { outline: 3px solid var(--focus) !important; outline-offset: 1px; }
#learn-headline p { font-size: var(--text-xl); line-height: 1.4; }
#learn-status p { margin: 4px 0; }
#learn-status .small, #strip .small { font-size: var(--text-sm); color: var(--body-text-color-subdued); }
#learn-status progress {
  width: 100%; height: 10px; border: 0; appearance: none;
  background: var(--border-color-primary); color: #0f766e;
}
#learn-status progress::-webkit-progress-bar { background: var(--border-color-primary); }
#learn-status progress::-webkit-progress-value { background: #0f766e; }
#learn-status progress::-moz-progress-bar { background: #0f766e; }
.dark #learn-status progress::-webkit-progress-value { background: #2dd4bf; }
.dark #learn-status progress::-moz-progress-bar { background: #2dd4bf; }
:is(#strip, #detail, #samples, #side, #learn-answers, #learn-status) .html-container { padding: 0; }
#strip .points {
  padding: 4px 20px 8px; border: 1px solid var(--border-color-primary); cursor: pointer;
  touch-action: manipulation;
}
#strip .points p { margin: 8px 0 0; font-size: 14px; }
#strip p.small { margin-top: 8px; }
#strip .band { position: relative; border-bottom: 1px solid var(--border-color-primary); }
#strip .axis { position: relative; height: 20px; }
#strip .axis.top { height: 18px; }
#strip .axis span {
  position: absolute; transform: translateX(-50%); font-size: 13px; white-space: nowrap;
  color: var(--body-text-color);
}
#strip .band .cut { position: absolute; top: 0; bottom: 0; border-left: 2px dashed var(--body-text-color); }
#strip .dot {
  position: absolute; width: 9px; height: 9px; margin-left: -5px; border-radius: 50%;
  border: 1.5px solid var(--body-text-color-subdued); background: transparent;
}
#strip .dot.chosen {
  border: 0; border-radius: 0; background: #0d9488; transform: rotate(45deg);
}
#strip .dot.picked { outline: 3px solid var(--body-text-color); outline-offset: 2px; z-index: 1; }
#samples .lethe-table { max-height: 480px; }
#samples tr.picked td { background: var(--background-fill-secondary); font-weight: 700; }
#samples button {
  background: none; border: 0; padding: 0; font: inherit; color: inherit; text-align: left;
  min-width: 24px; min-height: 24px; text-decoration: underline dotted; cursor: pointer;
}
#samples th { padding: 4px 10px; }
#samples th button { font-weight: 700; }
#samples th[aria-sort="ascending"] button::after { content: " ▲"; }
#samples th[aria-sort="descending"] button::after { content: " ▼"; }
#samples td:nth-child(n+5), #side td:nth-child(n+2) { white-space: nowrap; }
#detail td:nth-child(2) { overflow-wrap: anywhere; }
#side .lethe-table, #detail .lethe-table { max-height: none; }
#learn-check, #learn-upload { align-self: stretch; }
@media (max-width: 640px) {
  .gradio-container #samples thead { position: static; }
  .gradio-container #samples thead tr { display: flex; flex-wrap: wrap; }
  #samples th { position: static; border: 0; }
}
"""
