import { render } from "preact";
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
const n = signal(0);
function A() { const [x] = useState(1); return <b>{n}{x}</b>; }
render(<A />, document.getElementById("app")!);
