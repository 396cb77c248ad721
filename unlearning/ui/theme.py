"""Looks: a calm theme out of system fonts (nothing is fetched), and the little CSS it needs."""

import gradio as gr

SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]

CSS = """
.gradio-container { --focus: #0f766e; }
.dark .gradio-container, .gradio-container.dark { --focus: #5eead4; }
.gradio-container :focus-visible { outline: 3px solid var(--focus) !important; outline-offset: 1px; }
.gradio-container h2 { margin-top: 8px; font-weight: 700; }
.gradio-container h3 { margin: 4px 0; font-size: var(--text-md); font-weight: 700; }
#headline p { font-size: clamp(22px, 1.6vw, 32px); line-height: 1.4; }
#status p, #cost p { margin: 4px 0; }
#cost:not(:has(p)), [id$="preview"]:not(:has(table)) { display: none; }
#status .small { font-size: var(--text-sm); color: var(--body-text-color-subdued); }
#status progress {
  width: 100%; height: 10px; border: 0; appearance: none;
  background: var(--border-color-primary); color: #0f766e;
}
#status progress::-webkit-progress-bar { background: var(--border-color-primary); }
#status progress::-webkit-progress-value { background: #0f766e; }
#status progress::-moz-progress-bar { background: #0f766e; }
.dark #status progress::-webkit-progress-value { background: #2dd4bf; }
.dark #status progress::-moz-progress-bar { background: #2dd4bf; }
#lens .html-container, [id^="trace"] .html-container,
:is([id$="preview"], #answers, #stay, #status, #cost, #row-note) .html-container { padding: 0; }
.lethe-table { max-height: 720px; overflow: auto; border: 1px solid var(--border-color-primary); }
.lethe-table:focus-visible { outline-offset: -3px; }
.gradio-container .lethe-table table {
  width: 100%; margin: 0; border: 0; border-collapse: collapse; font-size: clamp(14px, 0.85vw, 18px);
}
.lethe-table th, .lethe-table td {
  padding: 7px 10px; border: 0; border-bottom: 1px solid var(--border-color-primary);
  text-align: left; vertical-align: top; overflow-wrap: break-word; word-break: normal; white-space: normal;
  color: var(--body-text-color);
}
.lethe-table th {
  position: sticky; top: 0; background: var(--background-fill-secondary);
  font-weight: 700; overflow-wrap: normal;
}
.gradio-container .lethe-table tr { border: 0; }
.lethe-table tr:last-child td { border-bottom: 0; }
[id$="preview"] .lethe-table { max-height: 400px; }
.lethe-table .bar { display: block; height: 5px; margin-top: 3px; width: calc(var(--share) * 100%); }
.lethe-table .bar.before { background: #64748b; }
.lethe-table .bar.after { background: #0d9488; }
#stay .lethe-table { max-height: none; }
#stay td:nth-child(n+2):nth-child(-n+4), #answers td:nth-child(n+5) { white-space: nowrap; }
.gradio-container .label-wrap { gap: 8px; text-align: left; }
#ask, #undo { align-self: center; }
#read, #upload { align-self: stretch; }
footer .divider:last-child { display: none; }
.lethe-fold summary { padding: 6px 0; font-size: var(--text-sm); cursor: pointer; }
.lethe-fold dl { margin: 0 0 8px; font-size: var(--text-sm); }
.lethe-fold dt { font-weight: 700; }
.lethe-fold dd { margin: 0 0 4px; }
[id$="-heat"]:not(:has(.js-plotly-plot)) { height: 0; min-height: 0; border: 0; overflow: hidden; }
.lethe-maps { display: flex; flex-wrap: wrap; gap: 12px 32px; overflow-x: auto; }
.gradio-container .lethe-maps table { border-collapse: separate; border-spacing: 2px; margin: 8px 0; }
.gradio-container .lethe-maps :is(table, thead, tbody, tr) { border: 0 !important; }
.lethe-maps caption { text-align: left; font-weight: 700; padding: 4px 0; }
.gradio-container .lethe-maps :is(th, td) { border: 0; padding: 6px 10px; font-size: 14px; font-weight: 400; }
.lethe-maps th[scope="row"] { text-align: left; }
.lethe-maps td.heat {
  text-align: right; white-space: nowrap;
  background: color-mix(in srgb, #14b8a6 calc(var(--share) * 60%), var(--background-fill-secondary));
}
.js-plotly-plot .main-svg { background: transparent !important; }
.js-plotly-plot text { fill: var(--body-text-color) !important; }
.js-plotly-plot .gridlayer path { stroke: var(--border-color-primary) !important; }
@media (min-width: 1600px) {  /* a projector; what stands in here gradio puts below its own container */
  .column {
    font-size: 17px;
    --text-sm: 15px; --text-md: 17px; --body-text-size: 17px; --input-text-size: 17px;
    --block-info-text-size: 15px; --block-label-text-size: 15px; --block-title-text-size: 17px;
    --checkbox-label-text-size: 17px;
  }
}
@media (max-width: 640px) {
  .lethe-maps :is(th, td) { padding: 4px !important; font-size: 12px !important; }
  .lethe-table thead { position: absolute; left: -9999px; }
  .lethe-table table, .lethe-table tbody, .lethe-table tr, .lethe-table td { display: block; }
  .lethe-table table { padding: 0 !important; }
  .lethe-table tr {
    margin: 0 !important; padding: 6px 0 !important;
    border-bottom: 1px solid var(--border-color-primary) !important;
  }
  .lethe-table td {
    display: flex; gap: 10px; margin: 0 !important; padding: 3px 10px; border: 0; overflow-wrap: anywhere;
  }
  .lethe-table td::before {
    content: attr(data-head); flex: 0 0 30%; color: var(--body-text-color-subdued);
    overflow-wrap: normal; white-space: normal;
  }
}
"""

# What gradio leaves out for screen readers: is a fold open, and what a group of choices is about.
JS = """() => {
  const tell = () => {
    for (const fold of document.querySelectorAll("button.label-wrap"))
      fold.setAttribute("aria-expanded", fold.classList.contains("open"));
    for (const group of document.querySelectorAll("fieldset:not([aria-label])")) {
      const name = group.querySelector("[data-testid=block-info]");
      if (name) group.setAttribute("aria-label", name.textContent.trim());
    }
  };
  const changes = {subtree: true, childList: true, attributes: true, attributeFilter: ["class"]};
  new MutationObserver(tell).observe(document.querySelector(".gradio-container"), changes);
  tell();
}"""


def theme() -> gr.themes.Base:
    """Slate and one blue-green, dark enough to be read (WCAG AA) in light and dark."""
    base = gr.themes.Base(
        primary_hue="teal", secondary_hue="teal", neutral_hue="slate", font=SANS, font_mono=MONO
    )
    return base.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_large_text_weight="700",
        button_medium_text_weight="700",
        color_accent="*primary_600",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
        checkbox_border_color_hover="*neutral_700",
        checkbox_border_color_hover_dark="*neutral_200",
        checkbox_label_border_width="0px",
        input_border_width="1px",
        input_border_color="*neutral_400",
        input_border_color_dark="*neutral_500",
        block_label_text_color="*neutral_600",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )
