// What we use of Preact and its signals. Their packages come minified, so this file is too: who reviews it reads the lock
// file.

export { Fragment, h as el, render } from "preact";
export { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
export { batch, computed, effect, signal } from "@preact/signals";
