// node_modules/preact/dist/preact.mjs
var n;
var t;
var r;
var u;
var i;
var f;
var o;
var e;
var l;
var c;
var a;
var s;
var h = /* @__PURE__ */ Symbol.for("pv");
var p = {};
var y = [];
var v = /^m(i|n|o|s|text|space)$/;
var w = Array.isArray;
var d = y.slice;
var _ = Object.assign;
function g(n3) {
  n3 && n3.parentNode && n3.remove();
}
function k(n3, t4, r4) {
  var u4, i4, f5, o5 = {}, e4 = arguments.length;
  for (f5 in t4) "key" == f5 ? u4 = t4[f5] : "ref" == f5 && "function" != typeof n3 ? i4 = t4[f5] : o5[f5] = t4[f5];
  return e4 > 2 && (o5.children = e4 > 3 ? d.call(arguments, 2) : r4), m(n3, o5, u4, i4, null);
}
function m(r4, u4, i4, f5, o5) {
  var e4 = { type: r4, props: u4, key: i4, ref: f5, __k: null, __: null, __b: 0, __e: null, __c: null, constructor: h, __v: o5 || ++t, __i: -1, __u: 0 };
  return !o5 && n.vnode && n.vnode(e4), e4;
}
function $(n3) {
  return n3.children;
}
function x(n3, t4) {
  this.props = n3, this.context = t4, this.__g = 0;
}
function S(n3, t4) {
  if (null == t4) return n3.__ && S(n3.__, n3.__i + 1);
  for (var r4; t4 < n3.__k.length; t4++) if ((r4 = n3.__k[t4]) && r4.__e) return r4.__e;
  return "function" != typeof n3.type || n3.props.__P ? null : S(n3);
}
function C(t4) {
  var r4, u4 = t4.__v, i4 = u4.__e, f5 = [], o5 = [], e4 = t4.__P;
  e4 && ((r4 = _({ constructor: h }, u4)).__v = u4.__v + 1, n.vnode && n.vnode(r4), z(e4, r4, u4, t4.__n, e4.namespaceURI, 32 & u4.__u ? [i4] : null, f5, i4 || S(u4), 32 & u4.__u, o5), r4.__v = u4.__v, r4.__.__k[r4.__i] = r4, E(f5, r4, o5), u4.__ = u4.__e = null, r4.__e != i4 && j(r4));
}
function j(n3) {
  if ((n3 = n3.__) && n3.__c && !n3.props.__P) return n3.__e = null, n3.__k.some(function(t4) {
    return t4 && (n3.__e = t4.__e);
  }), j(n3);
}
function L(t4) {
  (8 & t4.__g || (t4.__g |= 8, u.push(t4), f++)) && i == n.debounceRendering || ((i = n.debounceRendering) || queueMicrotask)(H);
}
function H() {
  try {
    for (var n3, t4 = 1; u.length; ) u.length > t4 && u.sort(o), n3 = u.shift(), t4 = u.length, 8 & n3.__g && C(n3);
  } finally {
    (f = u.length) && (i || queueMicrotask)(H);
  }
}
function I(n3, t4, r4, u4, i4, f5, o5, e4, l4, c4, a5) {
  var s4, h5, v4, w5, d5, _4, g5 = u4.__k || y, k4 = t4.length;
  for (l4 = q(r4, t4, g5, l4, k4), s4 = 0; s4 < k4; s4++) null != (v4 = r4.__k[s4]) && (h5 = ~v4.__i && g5[v4.__i] || p, v4.__i = s4, _4 = z(n3, v4, h5, i4, f5, o5, e4, l4, c4, a5), w5 = v4.__e, (h5.ref != v4.ref || 8 & h5.__u) && (h5.ref && G(h5.ref, null, v4, h5), v4.ref && a5.push(v4.ref, v4.__c || w5, v4)), d5 = d5 || w5, 4 & v4.__u ? (l4 = A(v4, l4, n3, !h5.__v), h5.__e && (h5.__e = null)) : "function" == typeof v4.type && void 0 !== _4 ? l4 = _4 : w5 && (l4 = w5.nextSibling), v4.__u &= -21);
  return r4.__e = d5, l4;
}
function q(n3, t4, r4, u4, i4) {
  var f5, o5, e4, l4, c4, a5, s4, p5, y5, v4 = r4.length, d5 = v4, _4 = 0, g5 = 0, k4 = n3.__k = Array(i4);
  for (f5 = 0; f5 < i4; f5++) null != (o5 = t4[f5]) && "boolean" != typeof o5 && "function" != typeof o5 ? ("object" != typeof o5 || o5.constructor === String ? o5 = k4[f5] = m(null, o5) : w(o5) ? o5 = k4[f5] = m($, { children: o5 }) : o5.constructor === h && o5.__b ? o5 = k4[f5] = m(o5.type, o5.props, o5.key, o5.ref, o5.__v) : k4[f5] = o5, l4 = f5 + _4, o5.__ = n3, o5.__b = n3.__b + 1, e4 = null, ~(c4 = o5.__i = P(o5, r4, l4, d5)) && (d5--, (e4 = r4[c4]) && (e4.__u |= 2)), e4 && e4.__v ? (o5.__u |= 16, c4 == l4 - 1 ? _4-- : c4 == l4 + 1 ? _4++ : c4 != l4 && (c4 > l4 ? _4-- : _4++, g5 = 1)) : (~c4 || (i4 > v4 ? _4-- : i4 < v4 && _4++), "function" != typeof o5.type && (o5.__u |= 4))) : k4[f5] = null;
  if (g5) {
    for (a5 = [], s4 = [], f5 = 0; f5 < i4; f5++) if ((o5 = k4[f5]) && 16 & o5.__u) {
      for (_4 = 0, p5 = a5.length; _4 < p5; ) a5[y5 = _4 + p5 >> 1] < o5.__i ? _4 = y5 + 1 : p5 = y5;
      a5[_4] = o5.__i, s4[f5] = _4 + 1;
    }
    for (_4 = a5.length; f5--; ) s4[f5] && (s4[f5] == _4 ? _4-- : k4[f5].__u |= 4);
  }
  if (d5) for (f5 = 0; f5 < v4; f5++) !(e4 = r4[f5]) || 2 & e4.__u || (e4.__e == u4 && (u4 = S(e4)), J(e4, e4));
  return u4;
}
function A(n3, t4, r4, u4) {
  var i4, f5, o5, e4;
  if ("function" == typeof n3.type) {
    if (n3.props.__P) return t4;
    if (i4 = n3.__k) for (f5 = 0; f5 < i4.length; f5++) i4[f5] && (i4[f5].__ = n3, t4 = A(i4[f5], t4, r4, false));
    return t4;
  }
  for (t4 && !t4.parentNode && (t4 = S(n3)) && !t4.parentNode && (t4 = null), o5 = n3.__e, e4 = t4; e4 && 8 == e4.nodeType; ) e4 = e4.nextSibling;
  for (o5 != e4 && (!u4 && r4.moveBefore && o5.parentNode ? r4.moveBefore(o5, t4) : r4.insertBefore(o5, t4 || null)), t4 = o5; (t4 = t4 && t4.nextSibling) && 8 == t4.nodeType && !t4.data.startsWith("$s"); ) ;
  return t4;
}
function P(n3, t4, r4, u4) {
  var i4, f5 = n3.key, o5 = n3.type, e4 = t4[r4], l4 = e4 && !(2 & e4.__u);
  if (null === e4 && null == f5 || l4 && f5 == e4.key && o5 == e4.type) return r4;
  if (u4 > (l4 ? 1 : 0)) {
    for (i4 = r4 - 1; i4 >= 0; i4--) if ((e4 = t4[i4]) && !(2 & e4.__u) && f5 == e4.key && o5 == e4.type) return i4;
    for (i4 = r4 + 1; i4 < t4.length; i4++) if ((e4 = t4[i4]) && !(2 & e4.__u) && f5 == e4.key && o5 == e4.type) return i4;
  }
  return -1;
}
function T(n3, t4, r4) {
  null == r4 && (r4 = ""), "-" == t4[0] ? n3.setProperty(t4, r4) : n3[t4] = r4;
}
function N(n3, t4, r4, u4, i4) {
  var f5, o5;
  if ("style" == t4) if ("string" == typeof r4) n3.style.cssText = r4;
  else {
    if ("string" == typeof u4 && (n3.style.cssText = u4 = ""), u4) for (t4 in u4) r4 && t4 in r4 || T(n3.style, t4);
    if (r4) for (t4 in r4) u4 && r4[t4] == u4[t4] || T(n3.style, t4, r4[t4]);
  }
  else if ("o" == t4[0] && "n" == t4[1]) "function" != typeof r4 && (r4 = null), "function" != typeof u4 && (u4 = null), (n3.__e || (n3.__e = {}))[t4] = r4, r4 && u4 || (o5 = a[t4] || (a[t4] = V(t4)), (n3.__a || (n3.__a = {}))[t4] = c, f5 = t4 != (t4 = t4.replace(l, "$1")), (t4 = t4.slice(2))[0] < "a" && (t4 = t4.toLowerCase()), r4 ? n3.addEventListener(t4, o5, f5) : n3.removeEventListener(t4, o5, f5));
  else {
    if ("http://www.w3.org/2000/svg" == i4) t4 = t4.replace(/xlink(H|:h)/, "h").replace(/sName$/, "s");
    else if ("width" != t4 && "height" != t4 && "href" != t4 && "list" != t4 && "form" != t4 && "tabIndex" != t4 && "download" != t4 && "rowSpan" != t4 && "colSpan" != t4 && "role" != t4 && "popover" != t4 && t4 in n3) try {
      return void (n3[t4] = null == r4 ? "" : r4);
    } catch (n4) {
    }
    if ("function" == typeof r4) return;
    null == r4 || false === r4 && "-" != t4[4] ? n3.removeAttribute(t4) : n3.setAttribute(t4, "popover" == t4 && 1 == r4 ? "" : r4);
  }
}
function V(t4) {
  return function(r4) {
    var u4 = this.__e;
    if (u4) {
      if (u4 = u4[t4], null == r4[e]) r4[e] = c++;
      else if (r4[e] < this.__a[t4]) return;
      return u4(n.event ? n.event(r4) : r4);
    }
  };
}
function z(t4, r4, u4, i4, f5, o5, e4, l4, c4, a5) {
  var s4, p5, v4, d5, k4, b3, m5, M2, C3, j3, L2, H2, q2, A4, O2, P2, T4, N2, V2 = r4.type;
  if (r4.constructor !== h) return null;
  128 & u4.__u && (c4 = 32 & u4.__u, s4 = u4.__c.__z) && (r4.__u |= c4, p5 = o5 = [], 8 == s4.nodeType ? l4 = B(s4, o5) : o5.push(s4), l4 = o5[0] || l4), (s4 = n.__b) && s4(r4);
  n: if ("function" == typeof V2) {
    v4 = e4.length;
    try {
      if (M2 = r4.props, C3 = (s4 = V2.prototype) && s4.render, j3 = (s4 = V2.contextType) && i4[s4.__c], L2 = s4 ? j3 ? j3.props.value : s4.__ : i4, (d5 = u4.__c) ? (r4.__c = d5, 2 & d5.__g && (d5.__g |= 1)) : (C3 ? r4.__c = d5 = new V2(M2, L2) : (r4.__c = d5 = new x(M2, L2), d5.constructor = V2, d5.render = K), j3 && j3.sub(d5), d5.state || (d5.state = {}), d5.__n = i4, d5.__g |= 8, d5.__h = [], d5.__k = []), C3 && (d5.__s || (d5.__s = d5.state), V2.getDerivedStateFromProps && (d5.__s == d5.state && (d5.__s = _({}, d5.__s)), _(d5.__s, V2.getDerivedStateFromProps(M2, d5.__s)))), k4 = d5.props, b3 = d5.state, d5.__v = r4, u4.__c) {
        if (M2 !== k4 && C3 && !V2.getDerivedStateFromProps && d5.componentWillReceiveProps && d5.componentWillReceiveProps(M2, L2), r4.__v == u4.__v && !(8 & d5.__g) || !(4 & d5.__g) && d5.shouldComponentUpdate && false === d5.shouldComponentUpdate(M2, d5.__s, L2)) {
          r4.__v != u4.__v && (d5.props = M2, d5.state = d5.__s, d5.__g &= -9), r4.__e = u4.__e, r4.__k = u4.__k, r4.__k.some(function(n3) {
            n3 && (n3.__ = r4);
          }), y.push.apply(d5.__h, d5.__k), d5.__k = [], d5.__h.length && e4.push(d5), l4 = S(u4);
          break n;
        }
        d5.componentWillUpdate && d5.componentWillUpdate(M2, d5.__s, L2), C3 && d5.componentDidUpdate && d5.__h.push(function() {
          d5.componentDidUpdate(k4, b3, m5);
        });
      } else C3 && !V2.getDerivedStateFromProps && d5.componentWillMount && d5.componentWillMount(), C3 && d5.componentDidMount && d5.__h.push(d5.componentDidMount);
      d5.context = L2, d5.props = M2, d5.__P = t4, d5.__g &= -5, H2 = n.__r, q2 = C3 ? 25 : 0;
      do {
        d5.__g &= -9, H2 && H2(r4), s4 = d5.render(d5.props, d5.state = d5.__s, d5.context);
      } while (8 & d5.__g && ++q2 < 25);
      C3 && (y.push.apply(d5.__h, d5.__k), d5.__k = []), d5.state = d5.__s, d5.getChildContext && (i4 = _({}, i4, d5.getChildContext())), C3 && u4.__c && d5.getSnapshotBeforeUpdate && (m5 = d5.getSnapshotBeforeUpdate(k4, b3)), A4 = s4 && s4.type === $ && null == s4.key ? s4.props.children : s4, M2.__P && (s4 = l4, f5 = (t4 = M2.__P).namespaceURI, c4 = o5 = null, u4.props && u4.props.__P != t4 && (u4.__k.some(function(n3) {
        n3 && J(n3, n3);
      }), u4.__k = null), l4 = u4.__k ? S(u4, 0) : null), l4 = I(t4, w(A4) ? A4 : [A4], r4, u4, i4, f5, o5, e4, l4, c4, a5), M2.__P && (r4.__e = null, l4 = s4), r4.__u &= -161, p5 && p5.some(g), d5.__h.length && e4.push(d5), 1 & d5.__g && (d5.__g &= -4);
    } catch (t5) {
      if (e4.length = v4, r4.__v = null, c4 || o5) if (t5 && t5.then) {
        if (r4.__u |= 128 | c4, o5) {
          for (~(T4 = o5.indexOf(l4 || void 0)) || (T4 = o5.length); (N2 = o5[T4 - 1]) && 8 == N2.nodeType; ) T4--;
          for (; T4 < o5.length; T4++) if (N2 = o5[T4]) if (o5[T4] = null, O2) {
            if (N2 == P2) break;
          } else {
            if (8 != N2.nodeType) break;
            N2.data.startsWith("$s") && (P2 = B(O2 = N2));
          }
        }
        if (!O2) {
          for (; l4 && 8 == l4.nodeType && l4.nextSibling; ) l4 = l4.nextSibling;
          O2 = l4;
        }
        (s4 = B(O2 = r4.__c.__z || (r4.__c.__z = O2))) ? (r4.__e = O2, l4 = s4) : r4.__e = l4, l4 = l4 && l4.nextSibling;
      } else o5 && o5.some(g);
      else r4.__e = u4.__e;
      r4.__k || (r4.__k = u4.__k || []), t5 && t5.then || D(r4), n.__e(t5, r4, u4);
    }
  } else l4 = r4.__e = F(u4.__e, r4, u4, i4, f5, o5, e4, c4, a5, t4);
  return (s4 = n.diffed) && s4(r4), l4;
}
function B(n3, t4) {
  if (n3 && 8 == n3.nodeType && n3.data.startsWith("$s")) for (var r4 = 1; n3 = n3.nextSibling; ) {
    if (8 == n3.nodeType) {
      if (n3.data.startsWith("$s")) r4++;
      else if (n3.data.startsWith("/$s") && !--r4) return n3;
    }
    t4 && t4.push(n3);
  }
}
function D(n3) {
  n3 && (n3.__c && (n3.__c.__g |= 4), n3.__k && n3.__k.some(D));
}
function E(t4, r4, u4) {
  for (var i4 = 0; i4 < u4.length; ) G(u4[i4++], u4[i4++], u4[i4++]);
  n.__c && n.__c(r4, t4), t4.some(function(r5) {
    try {
      t4 = r5.__h, r5.__h = [], t4.some(function(n3) {
        n3.call(r5);
      });
    } catch (t5) {
      n.__e(t5, r5.__v);
    }
  });
}
function F(t4, r4, u4, i4, f5, o5, e4, l4, c4, a5) {
  var s4, h5, y5, _4, k4, b3, m5, M2, $2 = u4.props || p, x3 = r4.props, C3 = r4.type;
  if ("svg" == C3 ? f5 = "http://www.w3.org/2000/svg" : "math" == C3 ? f5 = "http://www.w3.org/1998/Math/MathML" : f5 || (f5 = "http://www.w3.org/1999/xhtml"), o5) {
    for (s4 = 0; s4 < o5.length; s4++) if ((k4 = o5[s4]) && (C3 ? k4.localName == C3 : 3 == k4.nodeType)) {
      t4 = k4, o5[s4] = null;
      break;
    }
  }
  if (!t4) {
    if (M2 = a5.ownerDocument || document, !C3) return M2.createTextNode(x3);
    t4 = M2.createElementNS(f5, C3, x3.is ? x3 : a5), l4 && (n.__m && n.__m(r4, o5), l4 = false), o5 = null;
  }
  if (C3) {
    if (a5 = "template" == C3 && t4.content || t4, o5 = "textarea" == C3 && null != x3.defaultValue ? null : o5 && d.call(a5.childNodes), !l4 && o5) for ($2 = {}, s4 = 0; s4 < t4.attributes.length; s4++) $2[(k4 = t4.attributes[s4]).name] = k4.value;
    for (s4 in $2) k4 = $2[s4], "dangerouslySetInnerHTML" == s4 ? y5 = k4 : "children" == s4 || s4 in x3 || "value" == s4 && "defaultValue" in x3 || "checked" == s4 && "defaultChecked" in x3 || N(t4, s4, null, k4, f5);
    for (s4 in x3) k4 = x3[s4], "children" == s4 ? _4 = k4 : "dangerouslySetInnerHTML" == s4 ? h5 = k4 : "value" == s4 ? b3 = k4 : "checked" == s4 ? m5 = k4 : l4 && "function" != typeof k4 || $2[s4] === k4 || N(t4, s4, k4, $2[s4], f5);
    h5 ? (l4 || y5 && (h5.__html == y5.__html || h5.__html == t4.innerHTML) || (t4.innerHTML = h5.__html), r4.__k = []) : (y5 && (t4.textContent = ""), ("foreignObject" == C3 || "http://www.w3.org/1998/Math/MathML" == f5 && v.test(C3)) && (f5 = "http://www.w3.org/1999/xhtml"), I(a5, w(_4) ? _4 : [_4], r4, u4, i4, f5, o5, e4, o5 ? o5[0] : u4.__k && S(u4, 0), l4, c4), o5 && o5.some(g)), l4 && "textarea" != C3 || (s4 = "value", "progress" == C3 && null == b3 ? t4.removeAttribute(s4) : null == b3 || b3 === t4[s4] && ("progress" != C3 || b3) || N(t4, s4, b3, $2[s4], f5), s4 = "checked", null != m5 && m5 != t4[s4] && N(t4, s4, m5, $2[s4], f5));
  } else $2 === x3 || l4 && t4.data == x3 || (t4.data = x3);
  return t4;
}
function G(t4, r4, u4, i4) {
  try {
    "function" == typeof t4 ? r4 ? r4.__x = t4(r4) || 1 : i4 && (i4 = i4.__c || i4.__e) && (r4 = i4.__x) && (i4.__x = null, "function" == typeof r4 ? r4() : t4(null)) : t4.current = r4;
  } catch (t5) {
    n.__e(t5, u4);
  }
}
function J(t4, r4, u4) {
  var i4, f5, o5, e4;
  if (n.unmount && n.unmount(t4), !(i4 = t4.ref) || i4.current && i4.current != t4.__e || G(i4, null, r4, t4), i4 = t4.__c) {
    if (i4.componentWillUnmount) try {
      i4.componentWillUnmount();
    } catch (t5) {
      n.__e(t5, r4);
    }
    i4.__P = i4.__n = null;
  }
  if (i4 = t4.__k) for (e4 = 0; e4 < i4.length; e4++) i4[e4] && J(i4[e4], r4, "function" != typeof t4.type || u4 && !t4.props.__P);
  !u4 && (i4 = t4.__c) && (i4 = i4.__z) && (f5 = B(i4, o5 = [])) && (i4 == t4.__e && o5.some(g), g(f5), g(i4)), u4 || g(t4.__e), t4.__e = t4.__c = t4.__ = null;
}
function K(n3, t4, r4) {
  return this.constructor(n3, r4);
}
function Q(t4, r4) {
  var u4, i4, f5, o5;
  n.__ && n.__(t4, r4), 9 == r4.nodeType && (r4 = r4.documentElement), i4 = (u4 = t4 && 32 & t4.__u) ? null : r4.__k, r4.__k = m($, { children: [t4] }), f5 = [], o5 = [], z(r4, r4.__k, i4 || p, p, r4.namespaceURI, i4 ? null : r4.firstChild ? d.call(r4.childNodes) : null, f5, i4 ? i4.__e : r4.firstChild, u4, o5), E(f5, r4.__k, o5), r4.__k.props.children = null;
}
n = { __e: function(n3, t4, r4, u4) {
  for (var i4, o5, e4; t4 = t4.__; ) if ((i4 = t4.__c) && !(1 & i4.__g)) {
    i4.__g |= 4;
    try {
      if ((e4 = (o5 = i4.constructor) && o5.getDerivedStateFromError) && i4.setState(o5.getDerivedStateFromError(n3)), i4.componentDidCatch && (i4.componentDidCatch(n3, u4 || {}), e4 = 1), e4 && 8 & i4.__g) return void (i4.__g |= 2);
    } catch (t5) {
      n3 = t5;
    }
  }
  throw f = 0, n3;
} }, t = 0, r = function(n3) {
  return null != n3 && n3.constructor === h;
}, x.prototype.setState = function(n3, t4) {
  var r4 = this.__s;
  r4 && r4 != this.state || (r4 = this.__s = _({}, this.state)), "function" == typeof n3 && (n3 = n3(_({}, r4), this.props)), n3 && (_(r4, n3), this.__v && (t4 && this.__k.push(t4), L(this)));
}, x.prototype.forceUpdate = function(n3) {
  this.__v && (this.__g |= 4, n3 && this.__h.push(n3), L(this));
}, x.prototype.render = $, u = [], f = 0, o = function(n3, t4) {
  return n3.__v.__b - t4.__v.__b;
}, e = /* @__PURE__ */ Symbol(), l = /(PointerCapture)$|Capture$/i, c = 0, a = {}, s = 0;

// node_modules/preact/hooks/dist/hooks.mjs
var t2;
var r2;
var u2;
var i2;
var o2 = Object.is;
var f2 = 0;
var c2 = [];
var e2 = [];
var a2 = n;
var v2 = a2.__b;
var l2 = a2.__r;
var m2 = a2.diffed;
var h2 = a2.__c;
var s2 = a2.unmount;
var p2 = a2.__;
function y2(n3, t4) {
  a2.__h && a2.__h(r2, n3, f2 || t4), f2 = 0;
  var u4 = r2.__H || (r2.__H = { __: [], __h: [] });
  return n3 >= u4.__.length && u4.__.push({}), u4.__[n3];
}
function d2(n3) {
  return f2 = 1, _2(G2, n3);
}
function _2(n3, u4, i4) {
  var f5 = y2(t2++, 2);
  if (f5.t = n3, !f5.__c && (f5.__ = [i4 ? i4(u4) : G2(void 0, u4), function(n4) {
    var t4 = (f5.__N || f5.__)[0], r4 = f5.t(t4, n4);
    o2(t4, r4) || (f5.__N = [r4, f5.__[1]], f5.__c.setState({}));
  }], f5.__c = r2, !r2.__f)) {
    r2.__f = true;
    var c4 = r2.shouldComponentUpdate;
    r2.shouldComponentUpdate = function(n4, t4, r4) {
      var u5 = this.__H;
      if (!u5) return true;
      var i5 = false, f6 = this.props != n4;
      if (u5.__.some(function(n5) {
        n5.__N && (i5 = true, o2(n5.__[0], n5.__N[0]) || (f6 = true));
      }), c4) {
        var e4 = c4.call(this, n4, t4, r4);
        return i5 ? e4 || f6 : e4;
      }
      return !i5 || f6;
    };
  }
  return f5.__;
}
function A2(n3, u4) {
  var i4 = y2(t2++, 3);
  !a2.__s && E2(i4.__H, u4) && (i4.__P = true, i4.__ = n3, i4.u = u4, r2.__H.__h.push(i4));
}
function F2(n3, u4) {
  var i4 = y2(t2++, 4);
  !a2.__s && E2(i4.__H, u4) && (i4.__P = false, i4.__ = n3, i4.u = u4, r2.__h.push(i4));
}
function T2(n3) {
  return f2 = 5, w2(function() {
    return { current: n3 };
  }, []);
}
function w2(n3, r4) {
  var u4 = y2(t2++, 7);
  return E2(u4.__H, r4) && (u4.__ = n3(), u4.__H = r4), u4.__;
}
function g2() {
  var n3;
  do {
    for (; n3 = e2.shift(); ) try {
      C2(n3);
    } catch (t5) {
      a2.__e(t5, { __: (n3 = n3.__P) && n3.__v });
    }
    for (; n3 = c2.shift(); ) {
      var t4 = n3.__H;
      if (n3.__P && t4) try {
        t4.__h.some(C2), t4.__h.some(D2), t4.__h = [];
      } catch (r4) {
        t4.__h = [], a2.__e(r4, n3.__v);
      }
    }
  } while (e2.length);
}
a2.__b = function(n3) {
  r2 = null, v2 && v2(n3);
}, a2.__ = function(n3, t4) {
  n3 && t4.__k && t4.__k.__m && (n3.__m = t4.__k.__m), p2 && p2(n3, t4);
}, a2.__r = function(n3) {
  l2 && l2(n3), t2 = 0;
  var i4 = (r2 = n3.__c).__H;
  i4 && (u2 == r2 ? r2.__h = [] : (i4.__h.some(C2), i4.__h.some(D2), t2 = 0), i4.__h = [], i4.__.some(function(n4) {
    n4.__N && (n4.__ = n4.__N), n4.u = n4.__N = void 0;
  })), u2 = r2;
}, a2.diffed = function(n3) {
  m2 && m2(n3);
  var t4 = n3.__c;
  t4 && t4.__H && (t4.__H.__h.length && B2(c2.push(t4)), t4.__H.__.some(function(n4) {
    n4.u && (n4.__H = n4.u);
  })), u2 = r2 = null;
}, a2.__c = function(n3, t4) {
  t4.some(function(n4) {
    try {
      n4.__h.some(C2), n4.__h = n4.__h.filter(function(n5) {
        return !n5.__ || D2(n5);
      });
    } catch (t5) {
      n4.__h = [function() {
        throw t5;
      }];
    }
  }), h2 && h2(n3, t4);
}, a2.unmount = function(n3) {
  s2 && s2(n3);
  var t4, r4, u4 = n3.__c;
  u4 && u4.__H && (u4.__H.__.some(function(u5) {
    try {
      if (u5.__P && u5.__c) {
        if (void 0 === r4) {
          for (r4 = n3.__; r4 && (!r4.__c || !r4.__c.__P); ) r4 = r4.__;
          r4 = r4 && r4.__c;
        }
        u5.__P = r4, B2(e2.push(u5));
      } else C2(u5);
    } catch (n4) {
      t4 = n4;
    }
  }), u4.__H = void 0, t4 && a2.__e(t4, u4.__v));
};
var k2 = "function" == typeof requestAnimationFrame;
function z2(n3) {
  var t4, r4 = function() {
    clearTimeout(u4), k2 && cancelAnimationFrame(t4), setTimeout(n3);
  }, u4 = setTimeout(r4, 35);
  k2 && (t4 = requestAnimationFrame(r4));
}
function B2(n3) {
  1 != n3 && i2 == a2.requestAnimationFrame || ((i2 = a2.requestAnimationFrame) || z2)(g2);
}
function C2(n3) {
  var t4 = r2, u4 = n3.__c;
  "function" == typeof u4 && (n3.__c = void 0, u4()), r2 = t4;
}
function D2(n3) {
  var t4 = r2;
  n3.__c = n3.__(), r2 = t4;
}
function E2(n3, t4) {
  return !n3 || n3.length != t4.length || t4.some(function(t5, r4) {
    return !o2(t5, n3[r4]);
  });
}
function G2(n3, t4) {
  return "function" == typeof t4 ? t4(n3) : t4;
}

// node_modules/@preact/signals-core/dist/signals-core.module.js
var i3 = /* @__PURE__ */ Symbol.for("preact-signals");
function t3() {
  if (!(v3 > 1)) {
    var i4, t4 = false;
    !(function() {
      var i5 = c3;
      c3 = void 0;
      while (void 0 !== i5) {
        var t5 = i5.S;
        if (t5.v === i5.v) {
          for (var r5 = t5.t; void 0 !== r5; r5 = r5.x) if (r5.i === i5.i) r5.i = t5.i;
        }
        i5 = i5.o;
      }
    })();
    while (void 0 !== h3) {
      var r4 = h3;
      h3 = void 0;
      s3++;
      while (void 0 !== r4) {
        var n3 = r4.u;
        r4.u = void 0;
        r4.f &= -3;
        if (!(8 & r4.f) && w3(r4)) try {
          r4.c();
        } catch (r5) {
          if (!t4) {
            i4 = r5;
            t4 = true;
          }
        }
        r4 = n3;
      }
    }
    s3 = 0;
    v3--;
    if (t4) throw i4;
  } else v3--;
}
function r3(i4) {
  if (v3 > 0) return i4();
  u3 = ++e3;
  v3++;
  try {
    return i4();
  } finally {
    t3();
  }
}
var n2;
var o3 = void 0;
function f3(i4) {
  var t4 = o3, r4 = n2;
  o3 = void 0;
  n2 = void 0;
  try {
    return i4();
  } finally {
    o3 = t4;
    n2 = r4;
  }
}
var h3 = void 0;
var v3 = 0;
var s3 = 0;
var e3 = 0;
var u3 = 0;
var c3 = void 0;
var a3 = 0;
function d3(i4) {
  if (void 0 !== o3) {
    var t4 = i4.n;
    if (void 0 === t4 || t4.t !== o3) {
      t4 = { i: 0, S: i4, p: o3.s, n: void 0, t: o3, e: void 0, x: void 0, r: t4 };
      if (void 0 !== o3.s) o3.s.n = t4;
      o3.s = t4;
      i4.n = t4;
      if (32 & o3.f) i4.S(t4);
      return t4;
    } else if (-1 === t4.i) {
      t4.i = 0;
      if (void 0 !== t4.n) {
        t4.n.p = t4.p;
        if (void 0 !== t4.p) t4.p.n = t4.n;
        t4.p = o3.s;
        t4.n = void 0;
        o3.s.n = t4;
        o3.s = t4;
      }
      return t4;
    }
  }
}
function l3(i4, t4) {
  this.v = i4;
  this.i = 0;
  this.n = void 0;
  this.t = void 0;
  this.l = 0;
  this.W = null == t4 ? void 0 : t4.watched;
  this.Z = null == t4 ? void 0 : t4.unwatched;
  this.name = null == t4 ? void 0 : t4.name;
}
l3.prototype.brand = i3;
l3.prototype.h = function() {
  return true;
};
l3.prototype.S = function(i4) {
  var t4 = this, r4 = this.t;
  if (r4 !== i4 && void 0 === i4.e) {
    i4.x = r4;
    this.t = i4;
    if (void 0 !== r4) r4.e = i4;
    else f3(function() {
      var i5;
      null == (i5 = t4.W) || i5.call(t4);
    });
  }
};
l3.prototype.U = function(i4) {
  var t4 = this;
  if (void 0 !== this.t) {
    var r4 = i4.e, n3 = i4.x;
    if (void 0 !== r4) {
      r4.x = n3;
      i4.e = void 0;
    }
    if (void 0 !== n3) {
      n3.e = r4;
      i4.x = void 0;
    }
    if (i4 === this.t) {
      this.t = n3;
      if (void 0 === n3) f3(function() {
        var i5;
        null == (i5 = t4.Z) || i5.call(t4);
      });
    }
  }
};
l3.prototype.subscribe = function(i4) {
  var t4 = this;
  return x2(function() {
    var r4 = t4.value;
    f3(function() {
      return i4(r4);
    });
  }, { name: "sub" });
};
l3.prototype.valueOf = function() {
  return this.value;
};
l3.prototype.toString = function() {
  return this.value + "";
};
l3.prototype.toJSON = function() {
  return this.value;
};
l3.prototype.peek = function() {
  var i4 = this;
  return f3(function() {
    return i4.value;
  });
};
Object.defineProperty(l3.prototype, "value", { get: function() {
  var i4 = d3(this);
  if (void 0 !== i4) i4.i = this.i;
  return this.v;
}, set: function(i4) {
  if (i4 !== this.v) {
    if (s3 > 100) throw new Error("Cycle detected");
    !(function(i5) {
      if (0 !== v3 && 0 === s3) {
        if (i5.l !== u3) {
          i5.l = u3;
          c3 = { S: i5, v: i5.v, i: i5.i, o: c3 };
        }
      }
    })(this);
    this.v = i4;
    this.i++;
    a3++;
    v3++;
    try {
      for (var r4 = this.t; void 0 !== r4; r4 = r4.x) r4.t.N();
    } finally {
      t3();
    }
  }
} });
function y3(i4, t4) {
  return new l3(i4, t4);
}
function w3(i4) {
  for (var t4 = i4.s; void 0 !== t4; t4 = t4.n) if (t4.S.i !== t4.i || !t4.S.h() || t4.S.i !== t4.i) return true;
  return false;
}
function b(i4) {
  for (var t4 = i4.s; void 0 !== t4; t4 = t4.n) {
    var r4 = t4.S.n;
    if (void 0 !== r4) t4.r = r4;
    t4.S.n = t4;
    t4.i = -1;
    if (void 0 === t4.n) {
      i4.s = t4;
      break;
    }
  }
}
function _3(i4) {
  var t4 = i4.s, r4 = void 0;
  while (void 0 !== t4) {
    var n3 = t4.p;
    if (-1 === t4.i) {
      t4.S.U(t4);
      if (void 0 !== n3) n3.n = t4.n;
      if (void 0 !== t4.n) t4.n.p = n3;
    } else r4 = t4;
    t4.S.n = t4.r;
    if (void 0 !== t4.r) t4.r = void 0;
    t4 = n3;
  }
  i4.s = r4;
}
function j2(i4, t4) {
  l3.call(this, void 0, t4);
  this.x = i4;
  this.s = void 0;
  this.g = a3 - 1;
  this.f = 4;
}
j2.prototype = new l3();
j2.prototype.h = function() {
  this.f &= -3;
  if (1 & this.f) return false;
  if (32 == (36 & this.f)) return true;
  this.f &= -5;
  if (this.g === a3) return true;
  this.g = a3;
  this.f |= 1;
  if (this.i > 0 && !w3(this)) {
    this.f &= -2;
    return true;
  }
  var i4 = o3;
  try {
    b(this);
    o3 = this;
    var t4 = this.x();
    if (16 & this.f || this.v !== t4 || 0 === this.i) {
      this.v = t4;
      this.f &= -17;
      this.i++;
    }
  } catch (i5) {
    this.v = i5;
    this.f |= 16;
    this.i++;
  }
  o3 = i4;
  _3(this);
  this.f &= -2;
  return true;
};
j2.prototype.S = function(i4) {
  if (void 0 === this.t) {
    this.f |= 36;
    for (var t4 = this.s; void 0 !== t4; t4 = t4.n) t4.S.S(t4);
  }
  l3.prototype.S.call(this, i4);
};
j2.prototype.U = function(i4) {
  if (void 0 !== this.t) {
    l3.prototype.U.call(this, i4);
    if (void 0 === this.t) {
      this.f &= -33;
      for (var t4 = this.s; void 0 !== t4; t4 = t4.n) t4.S.U(t4);
    }
  }
};
j2.prototype.N = function() {
  if (!(2 & this.f)) {
    this.f |= 6;
    for (var i4 = this.t; void 0 !== i4; i4 = i4.x) i4.t.N();
  }
};
Object.defineProperty(j2.prototype, "value", { get: function() {
  if (1 & this.f) throw new Error("Cycle detected");
  var i4 = d3(this);
  this.h();
  if (void 0 !== i4) i4.i = this.i;
  if (16 & this.f) throw this.v;
  return this.v;
} });
function O(i4, t4) {
  return new j2(i4, t4);
}
function p3(i4) {
  var r4 = i4.j;
  i4.j = void 0;
  if ("function" == typeof r4) {
    v3++;
    var n3 = o3;
    o3 = void 0;
    try {
      r4();
    } catch (t4) {
      i4.f &= -2;
      i4.f |= 8;
      g3(i4);
      throw t4;
    } finally {
      o3 = n3;
      t3();
    }
  }
}
function g3(i4) {
  for (var t4 = i4.s; void 0 !== t4; t4 = t4.n) t4.S.U(t4);
  i4.x = void 0;
  i4.s = void 0;
  p3(i4);
}
function S2(i4) {
  if (o3 !== this) throw new Error("Out-of-order effect");
  _3(this);
  o3 = i4;
  this.f &= -2;
  try {
    if (8 & this.f) g3(this);
  } finally {
    t3();
  }
}
function m3(i4, t4) {
  this.x = i4;
  this.j = void 0;
  this.s = void 0;
  this.u = void 0;
  this.f = 32;
  this.name = null == t4 ? void 0 : t4.name;
  if (n2) n2.push(this);
}
m3.prototype.c = function() {
  var i4 = this.S();
  try {
    if (8 & this.f) return;
    if (void 0 === this.x) return;
    var t4 = this.x();
    if ("function" == typeof t4) this.j = t4;
  } finally {
    i4();
  }
};
m3.prototype.S = function() {
  if (1 & this.f) throw new Error("Cycle detected");
  this.f |= 1;
  this.f &= -9;
  p3(this);
  b(this);
  v3++;
  var i4 = o3;
  o3 = this;
  return S2.bind(this, i4);
};
m3.prototype.N = function() {
  if (!(2 & this.f)) {
    this.f |= 2;
    this.u = h3;
    h3 = this;
  }
};
m3.prototype.d = function() {
  this.f |= 8;
  if (!(1 & this.f)) g3(this);
};
m3.prototype.dispose = function() {
  this.d();
};
function x2(i4, t4) {
  var r4 = new m3(i4, t4);
  try {
    r4.c();
  } catch (i5) {
    r4.d();
    throw i5;
  }
  var n3 = r4.d.bind(r4);
  n3[Symbol.dispose] = n3;
  return n3;
}

// node_modules/@preact/signals/dist/signals.module.js
var h4;
var d4;
var p4;
var m4 = "undefined" != typeof window && !!window.__PREACT_SIGNALS_DEVTOOLS__;
var g4 = [];
x2(function() {
  h4 = this.N;
})();
function b2(i4, n3) {
  n[i4] = n3.bind(null, n[i4] || function() {
  });
}
function y4(i4) {
  if (p4) {
    var n3 = p4;
    p4 = void 0;
    n3();
  }
  p4 = i4 && i4.S();
}
function w4(i4) {
  var n3 = this, r4 = i4.data, t4 = useSignal(r4);
  t4.name = "ReactiveDom";
  t4.value = r4;
  var e4 = w2(function() {
    var i5 = n3, r5 = n3.__v;
    while (r5 = r5.__) if (r5.__c) {
      r5.__c.__$f |= 4;
      break;
    }
    var o5 = O(function() {
      var i6 = t4.value.value;
      return 0 === i6 ? 0 : true === i6 ? "" : i6 || "";
    }), e5 = O(function() {
      return !Array.isArray(o5.value) && !r(o5.value);
    }), u5 = x2(function() {
      this.N = M;
      if (e5.value) {
        var n4 = o5.value;
        if (i5.__v && i5.__v.__e && 3 === i5.__v.__e.nodeType) i5.__v.__e.data = n4;
      }
    }), c5 = n3.__$u.d;
    n3.__$u.d = function() {
      u5();
      c5.call(this);
    };
    return [e5, o5];
  }, []), u4 = e4[0], c4 = e4[1];
  return u4.value ? c4.peek() : c4.value;
}
w4.displayName = "ReactiveTextNode";
Object.defineProperties(l3.prototype, { constructor: { configurable: true, value: k($, null).constructor }, type: { configurable: true, value: w4 }, props: { configurable: true, get: function() {
  var i4 = this;
  return { data: { get value() {
    return i4.value;
  } } };
} }, __b: { configurable: true, value: 1 } });
b2("__b", function(i4, n3) {
  y4();
  d4 = void 0;
  if ("string" == typeof n3.type) {
    var r4, t4 = n3.props;
    for (var f5 in t4) if ("children" !== f5) {
      var o5 = t4[f5];
      if (o5 instanceof l3) {
        if (!r4) n3.__np = r4 = {};
        r4[f5] = o5;
        t4[f5] = o5.peek();
      }
    }
  }
  i4(n3);
});
b2("__r", function(i4, r4) {
  i4(r4);
  if (r4.type !== $) {
    y4();
    var t4, f5 = r4.__c;
    if (f5) {
      f5.__$f &= -2;
      if (void 0 === (t4 = f5.__$u)) f5.__$u = t4 = (function(i5, n3) {
        var r5;
        x2(function() {
          r5 = this;
        }, { name: n3 });
        r5.c = i5;
        return r5;
      })(/* @__PURE__ */ (function(i5) {
        return function() {
          var n3;
          if (m4) null == (n3 = this.y) || n3.call(this);
          i5.__$f |= 1;
          i5.setState({});
        };
      })(f5), "function" == typeof r4.type ? r4.type.displayName || r4.type.name : "");
    }
    d4 = f5;
    y4(t4);
  }
});
b2("__e", function(i4, n3, r4, t4) {
  y4();
  d4 = void 0;
  i4(n3, r4, t4);
});
b2("diffed", function(i4, n3) {
  y4();
  d4 = void 0;
  var r4;
  if ("string" == typeof n3.type && (r4 = n3.__e)) {
    var t4 = n3.__np, f5 = n3.props, o5 = r4.U;
    if (o5) for (var e4 in o5) {
      var u4 = o5[e4];
      if (!(void 0 === u4 || t4 && e4 in t4)) {
        u4.d();
        o5[e4] = void 0;
      }
    }
    if (t4) {
      if (!o5) {
        o5 = {};
        r4.U = o5;
      }
      for (var a5 in t4) {
        var c4 = o5[a5], v4 = t4[a5];
        if (void 0 === c4) {
          c4 = k3(r4, a5, v4, f5);
          o5[a5] = c4;
        } else c4.o(v4, f5);
      }
    }
  }
  i4(n3);
});
function k3(i4, n3, r4, t4) {
  var f5 = n3 in i4 && void 0 === i4.ownerSVGElement, o5 = y3(r4);
  return { o: function(i5, n4) {
    o5.value = i5;
    t4 = n4;
  }, d: x2(function() {
    this.N = M;
    var r5 = o5.value.value;
    if (t4[n3] !== r5) {
      t4[n3] = r5;
      if (f5) i4[n3] = r5;
      else if (null != r5 && (false !== r5 || "-" === n3[4])) i4.setAttribute(n3, r5);
      else i4.removeAttribute(n3);
    }
  }) };
}
b2("unmount", function(i4, n3) {
  if ("string" == typeof n3.type) {
    var r4 = n3.__e;
    if (r4) {
      var t4 = r4.U;
      if (t4) {
        r4.U = void 0;
        for (var f5 in t4) {
          var o5 = t4[f5];
          if (o5) o5.d();
        }
      }
    }
    var e4 = n3.__np;
    if (e4) {
      var u4 = n3.props;
      for (var a5 in e4) u4[a5] = e4[a5];
    }
    n3.__np = void 0;
  } else {
    var c4 = n3.__c;
    if (c4) {
      c4.__$f |= 8;
      var v4 = c4.__$u;
      if (v4) {
        c4.__$u = void 0;
        v4.d();
      }
    }
  }
  i4(n3);
});
b2("__h", function(i4, n3, r4, t4) {
  if (t4 < 3) n3.__$f |= 2;
  i4(n3, r4, t4);
});
x.prototype.shouldComponentUpdate = function(i4, n3) {
  if (this.__R) return true;
  var r4 = this.__$u, t4 = r4 && void 0 !== r4.s;
  for (var f5 in n3) return true;
  if (this.__f || "boolean" == typeof this.u && true === this.u) {
    var o5 = 2 & this.__$f;
    if (!(t4 || o5 || 4 & this.__$f)) return true;
    if (1 & this.__$f) return true;
  } else {
    if (!(t4 || 4 & this.__$f)) return true;
    if (3 & this.__$f) return true;
  }
  for (var e4 in i4) if ("__source" !== e4 && i4[e4] !== this.props[e4]) return true;
  for (var u4 in this.props) if (!(u4 in i4)) return true;
  return false;
};
function useSignal(i4, n3) {
  return w2(function() {
    return y3(i4, n3);
  }, []);
}
var A3 = function(i4) {
  queueMicrotask(function() {
    queueMicrotask(i4);
  });
};
function F3() {
  r3(function() {
    var i4;
    while (i4 = g4.shift()) h4.call(i4);
  });
}
function M() {
  if (1 === g4.push(this)) (n.requestAnimationFrame || A3)(F3);
}

// src/state.ts
var session = y3(void 0);
var may = (action) => session.value?.may.includes(action) ?? false;
var ROLES = {
  "task.erase": "",
  task: "client, operator, ",
  bot: "operator, ",
  "kill.manage": "operator, ",
  approval: "approver, ",
  audit: "auditor, ",
  redaction: "auditor, "
};
var rolesFor = (action) => `${ROLES[action] ?? ROLES[action.split(".")[0]] ?? ""}admin`;
var whyNot = (action) => may(action) ? void 0 : `Your role may not ${action}; these may: ${rolesFor(action)}.`;
function kept(name, otherwise) {
  try {
    return localStorage.getItem(`swarmkeeper.${name}`) ?? otherwise;
  } catch {
    return otherwise;
  }
}
function keep(name, value) {
  try {
    localStorage.setItem(`swarmkeeper.${name}`, value);
  } catch {
  }
}
var theme = y3(kept("theme", "system"));
var letters = y3(kept("letters", "on") === "on");
var utc = y3(kept("zone", "local") === "utc");
function keepChoices() {
  x2(() => {
    document.documentElement.dataset.theme = theme.value;
    keep("theme", theme.value);
  });
  x2(() => keep("letters", letters.value ? "on" : "off"));
  x2(() => keep("zone", utc.value ? "utc" : "local"));
}

// src/words.ts
var TASKS = {
  CREATED: { tone: "wait", word: "created" },
  PLANNED: { tone: "wait", word: "planned" },
  IN_PROGRESS: { tone: "run", word: "in progress" },
  COMPLETED: { tone: "eye", word: "completed" },
  FAILED: { tone: "bad", word: "failed" },
  ARCHIVED: { tone: "ok", word: "archived" }
};
var ITEMS = {
  BLOCKED: { tone: "wait", word: "blocked" },
  READY: { tone: "wait", word: "ready" },
  LEASED: { tone: "run", word: "running" },
  WAITING: { tone: "hold", word: "waits" },
  IN_REVIEW: { tone: "eye", word: "in review" },
  SUCCEEDED: { tone: "ok", word: "done" },
  FAILED: { tone: "bad", word: "failed" },
  CANCELLED: { tone: "plain", word: "cancelled" },
  SKIPPED: { tone: "plain", word: "skipped" }
};
var OUTCOMES = {
  accepted: { tone: "ok", word: "accepted" },
  rejected: { tone: "bad", word: "rejected" },
  failed: { tone: "bad", word: "failed" },
  cancelled: { tone: "plain", word: "cancelled" },
  expired: { tone: "bad", word: "expired" }
};
var plain = (word) => ({ tone: "plain", word: word.toLowerCase().replaceAll("_", " ") });
var lookOfItem = (status) => ITEMS[status] ?? plain(status);
var lookOfEnding = (ending) => ending === "succeeded" ? { tone: "ok", word: "succeeded" } : ["failed", "expired", "timed_out"].includes(ending) ? { tone: "bad", word: ending.replace("_", " ") } : ["deferred", "asked"].includes(ending) ? { tone: "hold", word: ending } : plain(ending);
function lookOfTask(task) {
  if (task.outcome !== null) {
    const outcome = OUTCOMES[task.outcome] ?? plain(task.outcome);
    return task.status === "ARCHIVED" && task.outcome === "accepted" ? { tone: "ok", word: "archived" } : outcome;
  }
  if (task.holds.includes("paused")) return { tone: "hold", word: "paused" };
  if (task.holds.includes("budget")) return { tone: "hold", word: "at its budget" };
  if (task.holds.length) return { tone: "hold", word: "waits for a person" };
  return TASKS[task.status] ?? plain(task.status);
}
var ORDER = ["bad", "hold", "run", "eye", "wait", "plain", "ok"];
var worse = (a5, b3) => ORDER.indexOf(a5) - ORDER.indexOf(b3);
function span(ms) {
  const seconds = Math.max(0, ms) / 1e3;
  if (seconds < 1) return `${Math.round(seconds * 1e3)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} m`;
  return `${Math.floor(hours / 24)} d`;
}
var since = (time, now3) => time ? span(now3 - Date.parse(time)) : "–";
var until = (time, now3) => time ? span(Date.parse(time) - now3) : "–";
function moment(time) {
  if (!time) return "–";
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return "–";
  const shown = inZone(at), two = (n3) => String(n3).padStart(2, "0");
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][shown.getUTCMonth()];
  return `${shown.getUTCDate()} ${month} ${two(shown.getUTCHours())}:${two(shown.getUTCMinutes())}:${two(shown.getUTCSeconds())} ${zone(at)}`;
}
var minutesAhead = (at) => utc.value ? 0 : -at.getTimezoneOffset();
var inZone = (at) => new Date(at.getTime() + minutesAhead(at) * 6e4);
function zone(at) {
  const minutes = minutesAhead(at);
  if (minutes === 0) return "UTC";
  const rest = Math.abs(minutes) % 60;
  return `UTC${minutes < 0 ? "−" : "+"}${Math.floor(Math.abs(minutes) / 60)}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}
function money(micro) {
  if (micro === void 0 || micro === null) return "–";
  const digits = String(Math.trunc(Math.abs(micro))).padStart(7, "0");
  const [whole2, part] = [digits.slice(0, -6), digits.slice(-6)];
  const shown = whole2 === "0" ? part.slice(0, 4).replace(/0{1,2}$/, "") : part.slice(0, 2);
  return `${micro < 0 ? "−" : ""}$${grouped(whole2)}.${shown.padEnd(2, "0")}`;
}
var grouped = (digits) => String(digits).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
var safe = (text) => text.replace(
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
  (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`
);
var shortId = (id2) => id2.replace(/\b([a-z]{3})_[0-9A-Za-z]{14,}([0-9A-Za-z]{6})\b/g, "$1_…$2");
var EXACT = "";
var INTEGERS = new RegExp(`"${EXACT}(-?\\d+)"`, "g");
function head(value, max = 64 * 1024) {
  const text = typeof value === "string" ? value.replace(new RegExp(`^${EXACT}`), "") : (JSON.stringify(value, null, 2) ?? "null").replace(INTEGERS, "$1");
  return text.length > max ? { text: safe(text.slice(0, max)), cut: true } : { text: safe(text), cut: false };
}

// src/api.ts
var ApiError = class extends Error {
  constructor(status, code, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
  status;
  code;
  retryAfter;
  get signedOut() {
    return this.status === 401;
  }
  get forbidden() {
    return this.status === 403;
  }
  /** Whether the server, or the way to it, is in trouble: the same call may succeed later. */
  get disconnected() {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
};
var BASE = new URL("../", document.baseURI);
var TIMEOUT_MS = 2e4;
async function call(method, path, asked = {}) {
  const url = new URL(`./${path}`, BASE);
  for (const [name, value] of Object.entries(asked.query ?? {})) {
    if (value === void 0 || value === "") continue;
    for (const each of Array.isArray(value) ? value : [value]) url.searchParams.append(name, String(each));
  }
  const headers = { accept: "application/json", ...asked.headers };
  if (method !== "GET") headers["content-type"] = "application/json";
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), TIMEOUT_MS);
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      cache: "no-store",
      credentials: "same-origin",
      redirect: "error",
      signal: stop.signal,
      ...method === "GET" || method === "DELETE" ? {} : { body: JSON.stringify(asked.body ?? {}) }
    });
  } catch {
    throw new ApiError(0, "unreachable", "The server does not answer.");
  } finally {
    clearTimeout(timer);
  }
  const etag = response.headers.get("etag") ?? "";
  if (response.status === 304 || response.status === 204) return { status: response.status, body: void 0, etag };
  let body;
  try {
    if (asked.bytes && response.ok) return { status: response.status, body: new Uint8Array(await response.arrayBuffer()), etag };
    const said2 = await response.text();
    body = asked.text && response.ok ? said2 : exactly(said2);
  } catch {
    throw new ApiError(response.ok ? 0 : response.status, "unreadable", "The answer is not from this API: is a proxy in between?");
  }
  if (!response.ok) {
    const problem2 = body;
    const after = Number(response.headers.get("retry-after")) || 0;
    throw new ApiError(response.status, problem2.code ?? "error", problem2.detail ?? problem2.title ?? "The call was refused.", after);
  }
  return { status: response.status, body, etag };
}
function exactly(text) {
  return JSON.parse(/\d{16}/.test(text) ? text.replace(/"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g, (found2) => found2[0] === '"' || Number.isSafeInteger(Number(found2)) ? found2 : `"${EXACT}${found2}"`) : text);
}
var get = async (path, query) => (await call("GET", path, query ? { query } : {})).body;
async function act(path, body = {}) {
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return (await call("POST", path, { body, headers: { "idempotency-key": key } })).body;
}
var id = encodeURIComponent;
var api = {
  session: () => get("session"),
  signIn: async (credential) => {
    const headers = credential.includes(".") ? { authorization: `Bearer ${credential}` } : { "x-api-key": credential };
    return (await call("POST", "session", { headers })).body;
  },
  redeem: async (token2) => (await call("POST", "session:redeem", { headers: { authorization: `Bearer ${token2}` } })).body,
  signOut: () => call("DELETE", "session"),
  /** Return the task with its explanation; null if it has not changed since the answer with this ETag. */
  task: async (task, etag = "") => {
    const answer = await call("GET", `tasks/${id(task)}`, {
      query: { explain: true },
      headers: etag ? { "if-none-match": etag } : {}
    });
    return answer.status === 304 ? null : { task: answer.body, etag: answer.etag };
  },
  subtasks: (task, pageToken = "") => get(`tasks/${id(task)}/subtasks`, { page_size: 500, page_token: pageToken }),
  subtask: (task, key) => get(`tasks/${id(task)}/subtasks/${id(key)}`),
  steer: (task, verb, reason = "") => act(`tasks/${id(task)}:${verb}`, reason ? { reason } : {}),
  approval: (approval) => get(`approvals/${id(approval)}`),
  approve: (approval, comment) => act(`approvals/${id(approval.id)}:approve`, { subject_hash: approval.subject_hash, ...comment ? { comment } : {} }),
  reject: (approval, reason) => act(`approvals/${id(approval.id)}:reject`, { reason }),
  answer: (approval, answer) => act(`approvals/${id(approval.id)}:answer`, { answer }),
  needed: () => get("approvals", { order: "expires", page_size: 100 }),
  queuesSeen: () => get("queues", { page_size: 100 }),
  rows: (query) => get("tasks", { view: "row", ...query }),
  explain: (task) => get(`tasks/${id(task)}:explain`),
  searched: (q2) => get("tasks", { q: q2, view: "row", page_size: 8 })
};
async function whole(path, pages2) {
  const items = [];
  let token2 = "";
  for (let page = 0; page < pages2; page++) {
    const found2 = await get(path, { page_size: 500, page_token: token2 });
    items.push(...found2.items);
    token2 = found2.next_page_token;
    if (!token2) break;
  }
  return { items, more: token2 !== "" };
}
var lists = {
  rows: (filter, pageSize, pageToken) => get("tasks", { ...filter, view: "row", page_size: pageSize, page_token: pageToken }),
  count: ({ order_by: _4, ...filter }) => get("tasks:count", filter),
  labels: (key) => get("tasks:labels", { key, page_size: 500 }),
  bulk: (action, ids, dryRun, reason = "") => act("tasks:bulk", { action, ids, dry_run: dryRun, ...reason ? { reason } : {} }),
  /** How far an operation is, and what was refused first. */
  operation: (operation) => get(`operations/${id(operation)}`, { outcome: "refused", page_size: 100 }),
  bots: () => whole("bots", 4),
  leases: (bot) => get(`bots/${id(bot)}/leases`, { page_size: 200 }),
  steerBot: (bot, verb) => act(`bots/${id(bot)}:${verb}`),
  kills: () => get("kills", { page_size: 500 }),
  kill: async (body) => (await call("PUT", "kills", { body })).body,
  lift: (kill) => call("DELETE", `kills/${id(kill)}`),
  costsByBot: () => get("costs", { by: "bot" }),
  queues: () => whole("queues", 4)
};

// src/keys.ts
var layers = [];
var help = y3(false);
var pending = "";
var pendingTimer = 0;
function useKeys(keys, alone = false) {
  const layer = T2({ keys, alone }).current;
  layer.keys = keys;
  layer.alone = alone;
  F2(() => {
    layers.push(layer);
    return () => {
      layers.splice(layers.indexOf(layer), 1);
    };
  }, []);
}
function listed() {
  const seen = /* @__PURE__ */ new Map();
  for (const layer of [...layers].reverse()) {
    for (const [keys, each] of Object.entries(layer.keys)) if (each.does && !seen.has(keys)) seen.set(keys, { keys, ...each });
  }
  return [...seen.values()];
}
function find(keys) {
  const alone = layers.filter((layer) => layer.alone).at(-1);
  if (alone) return alone.keys[keys]?.run;
  return layers.filter((layer) => layer.keys[keys]).at(-1)?.keys[keys].run;
}
var typesInto = (target) => target instanceof HTMLElement && (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName) && !(target instanceof HTMLInputElement && target.type === "checkbox"));
function listen() {
  addEventListener("keydown", (event) => {
    if (event.altKey || event.defaultPrevented) return;
    if (event.ctrlKey || event.metaKey) {
      if (!event.shiftKey) run(`Ctrl ${event.key}`, event);
      return;
    }
    const key = event.key === " " ? "Space" : event.key;
    if (key === "Escape") {
      run("Escape", event);
      return;
    }
    if (typesInto(event.target)) return;
    if ((key === "Enter" || key === "Space") && event.target instanceof Element && event.target.closest("a, button, summary, input, [role=button]")) return;
    if (key.length === 1 && !letters.value) return;
    const keys = pending ? `${pending} ${key}` : key;
    pending = "";
    clearTimeout(pendingTimer);
    if (run(keys, event)) return;
    if (layers.some((layer) => Object.keys(layer.keys).some((each) => each.startsWith(`${key} `)))) {
      pending = key;
      pendingTimer = setTimeout(() => {
        pending = "";
      }, 1500);
    }
  });
}
function run(keys, event) {
  const action = find(keys);
  if (!action) return false;
  event.preventDefault();
  action();
  return true;
}

// src/stream.ts
var PAUSES_S = [1, 2, 4, 8, 15, 30];
var SILENT_MS = 45e3;
var ENDED = [401, 403];
var Stream = class {
  constructor(address, tell) {
    this.address = address;
    this.tell = tell;
  }
  address;
  tell;
  cursor = "";
  failures = 0;
  timer = 0;
  stop;
  /** Begin, or try again at once. */
  begin() {
    clearTimeout(this.timer);
    if (!this.stop) void this.follow();
  }
  /** End; the next time begins with how things are then. */
  end() {
    clearTimeout(this.timer);
    this.stop?.abort();
    this.stop = void 0;
    this.cursor = "";
    this.failures = 0;
  }
  async follow() {
    const stop = this.stop = new AbortController();
    let status = 0, silent = 0;
    const heard = () => {
      clearTimeout(silent);
      silent = setTimeout(() => stop.abort(), SILENT_MS);
    };
    try {
      heard();
      const headers = { accept: "text/event-stream" };
      if (this.cursor) headers["last-event-id"] = this.cursor;
      const response = await fetch(this.address, { headers, cache: "no-store", credentials: "same-origin", redirect: "error", signal: stop.signal });
      status = response.status;
      if (response.ok && response.body && this.stop === stop) {
        this.tell({ live: true });
        const reader2 = response.body.pipeThrough(new TextDecoderStream()).getReader();
        const messages = new Messages((data) => {
          if (this.stop === stop) this.changed(JSON.parse(data));
        });
        for (; ; ) {
          const { done, value } = await reader2.read();
          if (done || this.stop !== stop) break;
          heard();
          this.failures = 0;
          messages.add(value);
        }
      } else if (status === 400 && this.stop === stop) {
        this.cursor = "";
      }
    } catch {
    } finally {
      clearTimeout(silent);
    }
    if (this.stop !== stop) return;
    this.stop = void 0;
    const ended2 = ENDED.includes(status);
    const pause = 1e3 * PAUSES_S[Math.min(this.failures++, PAUSES_S.length - 1)];
    this.tell({ live: false, status: status < 400 ? 0 : status, retryAt: ended2 ? 0 : Date.now() + pause });
    if (!ended2) this.timer = setTimeout(() => this.begin(), pause);
  }
  changed(change) {
    this.cursor = change.cursor;
    this.tell({ change });
  }
};
var Messages = class {
  constructor(found2) {
    this.found = found2;
  }
  found;
  rest = "";
  add(piece) {
    const whole2 = (this.rest + piece).split(/\r?\n\r?\n/);
    this.rest = whole2.pop();
    for (const message of whole2) {
      const data = message.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).replace(/^ /, ""));
      if (data.length) this.found(data.join("\n"));
    }
  }
};

// src/live.ts
var EVERY_MS = 3e3;
var SELDOM_MS = 6e4;
var REFUSED_MS = 1e4;
var GAP_MS = 500;
var LONG_GAP_MS = 2e3;
var SLOW_READ_MS = 100;
var BUSY_TASKS = 10;
var TOGETHER_MS = 600;
var PAUSES_S2 = [1, 2, 4, 8, 15, 30];
var SKELETON_AFTER_MS = 150;
var connection = y3({ live: true, failures: 0, retryAt: 0 });
var streaming = y3(false);
var counts = y3(null);
var approvalsOpen = y3(null);
var listeners = /* @__PURE__ */ new Set();
var ask;
function hear(told) {
  if ("change" in told) {
    const { change } = told;
    counts.value = change.counts;
    approvalsOpen.value = change.approvals_open;
    for (const listener of [...listeners]) listener(change);
  } else if (told.live) {
    streaming.value = true;
    answered();
    for (const listener of [...listeners]) listener("live");
  } else {
    streaming.value = false;
    if (told.status === 401) session.value = null;
    else for (const listener of [...listeners]) listener("all");
  }
}
function followChanges() {
  if (!ask) {
    const worker = sharedWorker();
    if (worker) {
      worker.port.onmessage = ({ data }) => hear(data);
      ask = (asked) => worker.port.postMessage(asked);
      addEventListener("pagehide", () => ask("bye"));
      addEventListener("pageshow", (event) => {
        if (event.persisted) ask("begin");
      });
    } else {
      const stream = new Stream(new URL("../changes", document.baseURI).href, hear);
      ask = (asked) => asked === "begin" ? stream.begin() : stream.end();
    }
  }
  ask("begin");
}
function stopFollowing() {
  ask?.("end");
  streaming.value = false;
  counts.value = approvalsOpen.value = null;
}
function tryNow() {
  ask?.("begin");
  for (const listener of [...listeners]) listener("all");
}
function sharedWorker() {
  try {
    return new SharedWorker(scriptUrl("worker.js"), { type: "module", name: "swarmkeeper" });
  } catch {
    return void 0;
  }
}
var policy;
function scriptUrl(name) {
  const url = new URL(name, document.baseURI).href;
  const types = globalThis.trustedTypes;
  policy ??= types?.createPolicy("swarmkeeper", { createScriptURL: (text) => text });
  return policy ? policy.createScriptURL(url) : url;
}
var pending2 = y3(0);
var ofTask = (task) => (change) => change.tasks === "many" || change.tasks.includes(task);
var ofTasks = (change) => change.tasks === "many" || change.tasks.length > 0;
var ofAlso = (...kinds) => (change) => change.also.some((each) => kinds.includes(each));
function useRead(key, read2, options = {}) {
  const made = w2(() => reader(read2, options), [key]);
  A2(() => {
    made.begin();
    return made.end;
  }, [made]);
  return made;
}
function reader(read2, { on = () => true, every = EVERY_MS, seldom = SELDOM_MS, gap: least = GAP_MS }) {
  const state = y3({ data: void 0, error: void 0, slow: false, at: 0 });
  let timer = 0, due = 0, ended2 = false, reading;
  let busy = false;
  let missed = false;
  let gap = least, readAt = 0;
  function plan(pause) {
    const at = Date.now() + pause;
    if (ended2 || timer && due <= at) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(() => {
      timer = 0;
      void again();
    }, pause);
  }
  async function once2() {
    clearTimeout(timer);
    timer = 0;
    missed = false;
    const begun = readAt = Date.now(), first = state.peek().at === 0 && !state.peek().error;
    if (first) pending2.value++;
    const slow = setTimeout(() => {
      state.value = { ...state.value, slow: true };
    }, SKELETON_AFTER_MS);
    let pause = streaming.peek() ? seldom : every;
    try {
      const data = await read2(state.peek().data);
      if (!ended2) state.value = { data, error: void 0, slow: false, at: Date.now() };
      answered();
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError(-1, "fault", String(thrown));
      if (error.signedOut) session.value = null;
      pause = failed(error, every);
      if (!ended2) state.value = { ...state.value, error, slow: false };
    } finally {
      clearTimeout(slow);
      if (first) pending2.value--;
      reading = void 0;
    }
    gap = Math.max(least, Date.now() - begun > SLOW_READ_MS ? LONG_GAP_MS : GAP_MS);
    plan(missed ? Math.min(pause, busy ? LONG_GAP_MS + TOGETHER_MS : gap) : pause);
  }
  function again() {
    if (ended2) return Promise.resolve();
    if (document.hidden) {
      missed = true;
      return Promise.resolve();
    }
    reading ??= once2();
    return reading;
  }
  function heard(change) {
    if (change === "live" && !state.peek().error && (reading || timer && due - Date.now() <= every)) return;
    const told = typeof change === "object";
    if (told && !on(change)) return;
    missed = true;
    busy = told && (change.tasks === "many" || change.tasks.length > BUSY_TASKS);
    if (busy) gap = Math.max(least, LONG_GAP_MS);
    const left = readAt + gap - Date.now();
    if (!reading) plan(left <= 0 ? 0 : busy ? left + TOGETHER_MS : left);
  }
  const shown = () => {
    if (!document.hidden && (missed || !streaming.peek())) void again();
  };
  const online = () => void again();
  return {
    state,
    /** Read again, after what was done meanwhile. */
    again: async () => {
      await reading;
      await again();
    },
    begin: () => {
      listeners.add(heard);
      document.addEventListener("visibilitychange", shown);
      addEventListener("online", online);
      void again();
    },
    end: () => {
      ended2 = true;
      clearTimeout(timer);
      listeners.delete(heard);
      document.removeEventListener("visibilitychange", shown);
      removeEventListener("online", online);
    }
  };
}
function answered() {
  if (!connection.peek().live) connection.value = { live: true, failures: 0, retryAt: 0 };
}
function failed(error, every) {
  if (!error.disconnected) return Math.max(every, REFUSED_MS, error.retryAfter * 1e3);
  const { failures: failures2, retryAt } = connection.peek();
  const left = retryAt - Date.now();
  if (left > 0) return left;
  const pause = 1e3 * Math.max(error.retryAfter, PAUSES_S2[Math.min(failures2, PAUSES_S2.length - 1)]);
  connection.value = { live: false, failures: failures2 + 1, retryAt: Date.now() + pause };
  return pause;
}
var now = y3(Date.now());
function tick() {
  setInterval(() => {
    if (!document.hidden) now.value = Date.now();
  }, 1e3);
}
var said = y3("");
function say(text) {
  said.value = said.peek() === text ? `${text} ` : text;
}

// node_modules/preact/jsx-runtime/dist/jsxRuntime.mjs
var f4 = /* @__PURE__ */ Symbol.for("pv");
var o4 = 0;
function a4(t4, e4, n3, u4, a5, i4) {
  e4 || (e4 = {});
  var c4, l4, p5 = e4;
  if ("ref" in p5 && "function" != typeof t4) for (l4 in p5 = {}, e4) "ref" == l4 ? c4 = e4[l4] : p5[l4] = e4[l4];
  var s4 = { type: t4, props: p5, key: n3, ref: c4, __k: null, __: null, __b: 0, __e: null, __c: null, constructor: f4, __v: --o4, __i: -1, __u: 0 };
  return (a5 || i4) && (s4.__source = a5, s4.__self = i4), n.vnode && n.vnode(s4), s4;
}

// src/parts.tsx
var GLYPHS = {
  ok: a4("path", { d: "M3 8.5 6.5 12 13 4.5" }),
  bad: a4("path", { d: "M4 4l8 8M12 4l-8 8" }),
  run: a4("circle", { cx: "8", cy: "8", r: "5", class: "filled" }),
  wait: a4("circle", { cx: "8", cy: "8", r: "5" }),
  hold: a4("path", { d: "M5.5 3v10M10.5 3v10" }),
  eye: a4($, { children: [
    a4("path", { d: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8Z" }),
    a4("circle", { cx: "8", cy: "8", r: "1.8" })
  ] }),
  plain: a4("path", { d: "M4 8h8" })
};
var Glyph = ({ tone }) => a4("svg", { class: `glyph tone-${tone}`, viewBox: "0 0 16 16", width: "14", height: "14", "aria-hidden": "true", children: GLYPHS[tone] });
var State = ({ look }) => a4("span", { class: `state tone-${look.tone}`, children: [
  a4(Glyph, { tone: look.tone }),
  " ",
  look.word
] });
function Progress({ done, total, failed: failed2 }) {
  const part = (n3) => total ? 100 * n3 / total : 0;
  return a4("span", { class: "progress", children: [
    a4("svg", { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", children: [
      a4("rect", { class: "track", width: "100", height: "6" }),
      a4("rect", { class: "done", width: part(done), height: "6" }),
      a4("rect", { class: "failed", x: part(done), width: part(failed2), height: "6" })
    ] }),
    total ? `${done}/${total}` : "–"
  ] });
}
var Labels = ({ labels }) => a4($, { children: Object.entries(labels).map(([name, value]) => a4("span", { class: "label", children: [
  safe(name),
  ":",
  safe(value)
] }, name)) });
function Command({ text }) {
  const code = T2(null);
  const [copied, setCopied] = d2(false);
  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      say("Copied.");
      setTimeout(() => setCopied(false), 1500);
    } catch {
      if (code.current) getSelection()?.selectAllChildren(code.current);
      say("Selected: copy it with the keys of your system.");
    }
  }
  return a4("span", { class: "command", children: [
    a4("code", { ref: code, children: safe(text) }),
    a4("button", { type: "button", class: "small", onClick: () => void copy(), "aria-label": `Copy: ${text}`, children: copied ? "copied" : "copy" })
  ] });
}
var Key = ({ children }) => a4("kbd", { children });
function When({ time }) {
  return time ? a4("time", { dateTime: time, title: time, children: moment(time) }) : a4($, { children: "–" });
}
function Ago({ time }) {
  return time ? a4("time", { dateTime: time, title: moment(time), children: span(now.value - Date.parse(time)) }) : a4($, { children: "–" });
}
var Skeleton = ({ rows }) => a4("div", { class: "skeleton", "aria-hidden": "true", children: Array.from({ length: rows }, (_4, row) => a4("i", { class: `w${row * 7 % 4}` }, row)) });
function Trouble({ read: read2, what }) {
  if (read2.error) return a4(Refused, { error: read2.error, what, stale: read2.data !== void 0, at: read2.at });
  if (read2.data === void 0 && read2.slow) return a4($, { children: [
    a4("p", { class: "hidden-text", role: "status", children: [
      "Reading ",
      what,
      "."
    ] }),
    a4(Skeleton, { rows: 8 })
  ] });
  return null;
}
function Refused({ error, what, stale, at }) {
  if (error.disconnected && stale) return null;
  return a4("div", { class: `trouble ${error.forbidden ? "forbidden" : ""}`, role: "alert", children: [
    a4("strong", { children: error.forbidden ? `You may not see ${what}.` : error.status === 404 ? `${what.replace("the ", "No such ").replace(/s$/, "")}.` : `${what[0].toUpperCase()}${what.slice(1)} cannot be read.` }),
    " ",
    safe(error.message),
    " ",
    a4("code", { children: error.code }),
    stale && a4($, { children: [
      " What is below was read ",
      a4(When, { time: new Date(at).toISOString() }),
      "."
    ] })
  ] });
}
var NotDone = ({ error }) => a4("div", { class: "trouble", role: "alert", children: [
  a4("strong", { children: "Not done." }),
  " ",
  safe(error.message),
  " ",
  a4("code", { children: error.code })
] });
function Disconnected() {
  if (connection.value.live) return null;
  const left = Math.max(0, Math.ceil((connection.value.retryAt - now.value) / 1e3));
  return a4("div", { class: "disconnected", children: [
    a4(Glyph, { tone: "bad" }),
    " The server does not answer. ",
    left > 0 ? `Next try in ${left} s.` : "Trying now.",
    " Actions are off until then.",
    " ",
    a4("button", { type: "button", class: "small", onClick: tryNow, children: "Try now" })
  ] });
}
function Act({ action, run: run2, submits, children, kind, busy, keys }) {
  const why = whyNot(action);
  return a4("button", { type: submits ? "submit" : "button", class: kind ?? "quiet", disabled: Boolean(why || busy) || !connection.value.live, title: why, "data-action": action, onClick: run2, "aria-keyshortcuts": keys?.toUpperCase(), children: [
    children,
    keys && a4(Key, { children: keys })
  ] });
}
function Value({ value, name }) {
  const [whole2, setWhole] = d2(false);
  const shown = head(value, whole2 ? 1 << 20 : 16 * 1024);
  return a4("div", { class: "value", children: [
    a4("pre", { tabIndex: 0, role: "region", "aria-label": name, children: shown.text }),
    shown.cut && !whole2 && a4("button", { type: "button", class: "small", onClick: () => setWhole(true), children: "Show more" })
  ] });
}
function Dialog({ title, close, children, bare: bare2, ahead: ahead2 }) {
  const box = T2(null);
  F2(() => {
    const dialog = box.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return a4(
    "dialog",
    {
      ref: box,
      class: bare2 ? "bare" : "",
      "aria-label": title,
      onCancel: (event) => {
        event.preventDefault();
        close();
      },
      onClick: (event) => {
        if (event.target === box.current) close();
      },
      onKeyDown: (event) => {
        if (ahead2 && event.target === box.current && event.key.length === 1 && !event.ctrlKey && !event.metaKey) ahead2(event.key);
      },
      children: [
        !bare2 && a4("header", { children: [
          a4("h2", { children: title }),
          a4("button", { type: "button", class: "small", onClick: close, children: "Close" })
        ] }),
        children
      ]
    }
  );
}
function useAct() {
  const [busy, setBusy] = d2(false), [problem2, setProblem] = d2(null);
  async function run2(what, done) {
    if (busy) return void 0;
    setBusy(true);
    setProblem(null);
    try {
      const answer = await what();
      if (done) say(done);
      return answer;
    } catch (thrown) {
      const error = thrown instanceof ApiError ? thrown : new ApiError(-1, "fault", String(thrown));
      setProblem(error);
      say(error.message);
      return void 0;
    } finally {
      setBusy(false);
    }
  }
  return { busy, problem: problem2, run: run2 };
}

// src/route.ts
function parse(hash) {
  const text = hash.replace(/^#\/?/, "");
  const at = text.indexOf("?");
  const path = (at < 0 ? text : text.slice(0, at)).split("/").filter(Boolean).map(decoded);
  return { path, query: new URLSearchParams(at < 0 ? "" : text.slice(at + 1)) };
}
function written(path, query) {
  const rest = query?.toString() ?? "";
  return `#/${path.map(encodeURIComponent).join("/")}${rest ? `?${rest}` : ""}`;
}
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
var now2 = () => typeof location === "undefined" ? "" : location.hash;
var route = y3(parse(now2()));
function follow() {
  addEventListener("hashchange", () => {
    route.value = parse(now2());
  });
}
function go(to, replace = false) {
  if (replace) history.replaceState(null, "", to);
  else location.hash = to;
  route.value = parse(to);
}

// src/frame.tsx
var PAGES = [
  { path: "inbox", name: "Inbox", keys: "g i" },
  { path: "tasks", name: "Tasks", keys: "g t" },
  { path: "bots", name: "Bots", keys: "g b" },
  { path: "queues", name: "Queues", keys: "g q" },
  { path: "evaluations", name: "Evaluations", keys: "g e" },
  { path: "costs", name: "Costs", keys: "g c" },
  { path: "audit", name: "Audit", keys: "g a" },
  { path: "simulate", name: "Simulate", keys: "g m" },
  { path: "settings", name: "Settings", keys: "g s" }
];
var THEMES = {
  system: { next: "light", sign: "◐" },
  light: { next: "dark", sign: "○" },
  dark: { next: "system", sign: "●" }
};
var CTRL = /Mac|iP/.test(navigator.platform) ? "⌘" : "Ctrl";
var palette = y3(null);
var ahead = y3("");
async function signOut() {
  try {
    await api.signOut();
  } finally {
    session.value = null;
  }
}
function Frame({ pages: pages2, page, id: id2, children }) {
  const who = session.value;
  const open = () => {
    ahead.value = "";
    palette.value = listed().filter(({ keys }) => !/^(g |Ctrl|Escape)/.test(keys));
  };
  useKeys({
    "Ctrl k": { does: "search, or run a command", run: open },
    ...Object.fromEntries(pages2.map((each) => [each.keys, { does: `go to ${each.name}`, run: () => go(`#/${each.path}`) }])),
    "?": { does: "show the keys", run: () => {
      help.value = true;
    } }
  });
  const name = pages2.find(({ path }) => path === page)?.name ?? "Not here";
  const count = approvalsOpen.value, { live } = connection.value;
  useTold(`${name}${id2 ?? ""}`, () => id2 ? "" : name);
  useTold(live, () => live ? "Live again." : "Connection lost. Actions are off.");
  useTold(count, (before) => count === null || before === null ? "" : count === 0 ? "Nothing needs you." : `${needs(count)} you.`);
  A2(() => {
    document.title = `${count ? `(${count}) ` : ""}${name}${id2 ? ` ${id2}` : ""} · swarmkeeper`;
  }, [count, name, id2]);
  const here = T2(null);
  A2(() => here.current?.scrollIntoView({ block: "nearest", inline: "nearest" }), [page]);
  const next = THEMES[theme.value];
  return a4("div", { class: "frame", children: [
    a4("a", { class: "skip", href: "#main", onClick: (event) => {
      event.preventDefault();
      document.getElementById("main").focus();
    }, children: "Skip to the content" }),
    a4("nav", { class: "rail", "aria-label": "Pages", children: [
      a4("a", { class: "brand", href: "#/inbox", children: "swarmkeeper" }),
      a4("ul", { children: pages2.map((each) => a4("li", { children: a4("a", { href: `#/${each.path}`, ...page === each.path ? { "aria-current": "page", ref: here } : {}, children: [
        each.name,
        each.path === "inbox" && Boolean(count) && a4("span", { class: "badge", "aria-label": `${needs(count)} you`, children: count })
      ] }) }, each.path)) }),
      a4("div", { class: "who", children: [
        a4("span", { children: [
          safe(who.person_name ?? who.owner ?? `key …${who.key_id.slice(-5)}`),
          " · ",
          who.role
        ] }),
        a4("span", { children: [
          "tenant ",
          safe(who.tenant)
        ] }),
        a4("button", { type: "button", class: "small", onClick: () => void signOut(), children: "Sign out" })
      ] })
    ] }),
    a4("header", { class: "top", children: [
      a4("div", { class: "crumb", children: id2 ? a4($, { children: [
        a4("a", { href: `#/${page}`, children: name }),
        " / ",
        a4("code", { children: safe(id2) })
      ] }) : name }),
      a4("button", { type: "button", class: "search", onClick: open, "aria-keyshortcuts": "Control+K", "aria-haspopup": "dialog", children: [
        a4("svg", { viewBox: "0 0 16 16", width: "14", height: "14", "aria-hidden": "true", children: [
          a4("circle", { cx: "7", cy: "7", r: "4.5" }),
          a4("path", { d: "M10.5 10.5 14 14" })
        ] }),
        a4("span", { children: "Search or run a command" }),
        a4(Key, { children: [
          CTRL,
          " K"
        ] })
      ] }),
      a4("span", { class: `dot ${live ? "live" : "lost"}`, children: !live ? "no answer" : streaming.value ? "live" : "each 3 s" }),
      a4("button", { type: "button", class: "small zone", onClick: () => {
        utc.value = !utc.value;
      }, "aria-label": `Times in ${utc.value ? "UTC" : "local time"}. Change to ${utc.value ? "local time" : "UTC"}`, children: utc.value ? "UTC" : zone(new Date(now.value)) }),
      a4("button", { type: "button", class: "small", onClick: () => {
        help.value = true;
      }, "aria-label": "Keys", children: "?" }),
      a4("button", { type: "button", class: "small", onClick: () => {
        theme.value = next.next;
      }, "aria-label": `Theme: ${theme.value}. Change to ${next.next}`, children: next.sign })
    ] }),
    a4("main", { id: "main", tabIndex: -1, "aria-busy": pending2.value > 0, children: [
      a4(Disconnected, {}),
      children
    ] }),
    a4("p", { class: "hidden-text", role: "status", "aria-live": "polite", children: said }),
    help.value && a4(Help, {})
  ] });
}
var needs = (count) => count === 1 ? "1 needs" : `${count} need`;
function useTold(value, text) {
  const before = T2(value);
  A2(() => {
    const told = before.current !== value && text(before.current);
    before.current = value;
    if (told) say(told);
  }, [value]);
}
function Help() {
  const keys = listed();
  const close = () => {
    help.value = false;
  };
  useKeys({ Escape: { does: "", run: close } }, true);
  return a4(Dialog, { title: "Keys", close, children: [
    a4("dl", { class: "keys", children: keys.map(({ keys: each, does }) => a4("div", { children: [
      a4("dt", { children: each.split(" ").map((key) => a4(Key, { children: key }, key)) }),
      a4("dd", { children: does })
    ] }, each)) }),
    a4("label", { class: "choice", children: [
      a4("input", { type: "checkbox", checked: letters.value, onChange: (event) => {
        letters.value = event.currentTarget.checked;
      } }),
      " single letters are keys"
    ] }),
    a4("label", { class: "choice", children: [
      a4("input", { type: "checkbox", checked: utc.value, onChange: (event) => {
        utc.value = event.currentTarget.checked;
      } }),
      " times in UTC"
    ] })
  ] });
}

// src/later.tsx
function later(load, name) {
  const found2 = y3(void 0);
  const failed2 = y3(false);
  let loading = false;
  async function begin2() {
    loading = true;
    failed2.value = false;
    pending2.value++;
    try {
      found2.value = (await load())[name];
    } catch {
      failed2.value = true;
      loading = false;
    } finally {
      pending2.value--;
    }
  }
  return function Later(props) {
    const Found = found2.value;
    if (Found) return a4(Found, { ...props });
    if (failed2.value) {
      return a4("div", { class: "trouble", role: "alert", children: [
        a4("strong", { children: "This page cannot be loaded." }),
        " The server does not answer, or was upgraded.",
        " ",
        a4("button", { type: "button", class: "small", onClick: () => void begin2(), children: "Try again" }),
        " ",
        a4("button", { type: "button", class: "small", onClick: () => location.reload(), children: "Reload all" })
      ] });
    }
    if (!loading) void begin2();
    return a4(Skeleton, { rows: 8 });
  };
}

// src/query.ts
var STATUSES = ["CREATED", "PLANNED", "IN_PROGRESS", "COMPLETED", "FAILED", "ARCHIVED"];
var OUTCOMES2 = ["accepted", "rejected", "failed", "cancelled", "expired"];
var SORTS = { newest: "-created_at", oldest: "created_at", priority: "priority" };
var NAMES = ["status", "outcome", "label", "skill", "error", "after", "before", "sort"];
var TOKEN = /(?:"[^"]*"?|[^ \t\r\n\u00a0"])+/g;
var TIME = /^((?:19|20)\d\d)-(\d\d)-(\d\d)(T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,3})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?$/;
var FIRST_TASK = "swarmkeeper submit Hello --skill greeting --no-review";
function understood(line) {
  const filter = { q: "", status: [], outcome: [], label: [], skill: [], order_by: "-created_at" };
  const problems = [], words = [], seen = /* @__PURE__ */ new Set();
  for (const raw of tokens(line)) {
    const word = bare(raw), at = word.indexOf(":");
    if (raw.startsWith('"') || at < 0) words.push(word);
    else {
      const problem2 = take(filter, word.slice(0, at).toLowerCase(), word.slice(at + 1), seen);
      if (problem2) problems.push(`${word}: ${problem2}`);
    }
  }
  filter.q = words.filter(Boolean).join(" ");
  if (filter.q && filter.order_by === "priority") {
    problems.push("sort:priority: tasks with words in their titles are sorted by time");
    filter.order_by = "-created_at";
  }
  return { filter, problems };
}
function take(filter, name, value, seen) {
  if (["after", "before", "sort"].includes(name)) {
    if (seen.has(name)) return `${name}: is there already`;
    seen.add(name);
  }
  switch (name) {
    case "status":
      return anyOf(filter.status, value.toUpperCase().replaceAll("-", "_"), STATUSES, "a status");
    case "outcome":
      return anyOf(filter.outcome, value.toLowerCase(), OUTCOMES2, "an outcome");
    case "label": {
      const sign = value.indexOf(value.includes("=") ? "=" : ":");
      if (sign < 1) return "a label is written as label:name=value";
      once(filter.label, `${value.slice(0, sign)}:${value.slice(sign + 1)}`);
      return void 0;
    }
    case "skill":
      if (!value) return "a skill is written as skill:name";
      once(filter.skill, value);
      return void 0;
    case "error":
      if (!value) return "words of an error are written as error:word";
      filter.error = filter.error ? `${filter.error} ${value}` : value;
      return void 0;
    case "after":
    case "before": {
      const time = moment2(value);
      if (!time) return "a time is written as 2026-11-29 or 2026-11-29T06:00Z";
      filter[`created_${name}`] = time;
      return void 0;
    }
    case "sort": {
      const order = Object.hasOwn(SORTS, value.toLowerCase()) ? SORTS[value.toLowerCase()] : void 0;
      if (!order) return `sort by ${Object.keys(SORTS).join(", ")}`;
      filter.order_by = order;
      return void 0;
    }
    default:
      return `write ${NAMES.map((each) => `${each}:`).join(", ")} or, to search for it in titles, put it in quotes`;
  }
}
function anyOf(chosen, value, allowed, what) {
  if (!allowed.includes(value)) return `${what} is one of ${allowed.join(", ").toLowerCase()}`;
  once(chosen, value);
  return void 0;
}
function once(values, value) {
  if (!values.includes(value)) values.push(value);
}
function moment2(text) {
  const found2 = TIME.exec(text);
  if (!found2) return void 0;
  const [, year, month, day, rest] = found2;
  const noon = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day), 12));
  if (noon.getUTCMonth() !== Number(month) - 1 || noon.getUTCDate() !== Number(day)) return void 0;
  return new Date(rest ? text : `${text}T00:00:00`).toISOString();
}
var tokens = (line) => line.match(TOKEN) ?? [];
var bare = (word) => word.replaceAll('"', "");
var same = (a5, b3) => bare(a5).toLowerCase() === bare(b3).toLowerCase();
function toggled(line, word) {
  const all = tokens(line).map((each) => each.split('"').length % 2 ? each : `${each}"`), rest = all.filter((each) => !same(each, word));
  return (rest.length < all.length ? rest : [...all, word]).join(" ");
}
var has = (line, word) => tokens(line).some((each) => same(each, word));
var filterWord = (name, value) => `${name}:${/[ \t\r\n\u00a0]/.test(value) ? `"${value}"` : value}`;

// src/pages/inbox/causes.ts
var OPEN_LINE = "status:created status:planned status:in_progress status:completed";
var found = (q2) => written(["tasks"], new URLSearchParams({ q: q2 }));
var WHO = { plan: "planner", execute: "bot", review: "evaluator" };
var SOON_S = { bots_at_capacity: 60, rate_limited: 60, queued: 300, concurrency: 300 };
function stuck(queues) {
  const groups = /* @__PURE__ */ new Map();
  for (const queue of queues) {
    if (!queue.why || !queue.waiting || (queue.oldest_seconds ?? 0) < (SOON_S[queue.why.reason] ?? 0)) continue;
    const key = `${queue.why.reason} ${queue.why.fix ?? queue.why.detail}`;
    groups.set(key, [...groups.get(key) ?? [], queue]);
  }
  return [...groups].map(([key, of]) => {
    const waiting = sum(of.map((each) => each.waiting)), least = of.some((each) => each.waiting_at_least);
    const { reason, detail, fix } = of[0].why, [skill] = of[0].skills;
    const one = skill !== void 0 && of.every(({ skills }) => skills.length === 1 && skills[0] === skill);
    return {
      key,
      tone: reason === "killed" ? "bad" : "wait",
      title: titled(reason, of[0]),
      detail,
      fix,
      tasks: [],
      count: `${waiting}${least ? " or more wait" : waiting === 1 ? " waits" : " wait"}`,
      waiting,
      since: earliest(of.map((each) => each.oldest_at)),
      more: one ? { href: found(`${OPEN_LINE} ${filterWord("skill", skill)}`), name: `Open tasks that need ${safe(skill)}` } : { href: "#/queues", name: "All queues" }
    };
  }).sort((a5, b3) => b3.waiting - a5.waiting);
}
function titled(reason, queue) {
  const skills = queue.skills.map(safe).join(", "), who = WHO[queue.kind] ?? "bot", of = skills && ` for ${skills}`;
  switch (reason) {
    case "no_bot_registered":
    case "no_capable_bot":
      return skills ? `No ${who} can ${skills}` : `No ${who} is here`;
    case "assigned_bot_away":
      return `${safe(queue.assign_to ?? "The bot")} is away`;
    case "bot_not_asking":
      return `No ${who} asks for work${of}`;
    case "draining":
      return `Each ${who}${of} is drained`;
    case "bots_at_capacity":
      return `Each ${who}${of} is busy`;
    case "killed":
      return `Killed: ${skills || who}`;
    case "budget":
      return "The tenant is at its budget";
    case "rate_limited":
      return `At the rate limit${of}`;
    case "overloaded":
      return "The server is overloaded";
    default:
      return `${reason[0].toUpperCase()}${reason.slice(1).replaceAll("_", " ")}${of}`;
  }
}
function paused(open) {
  const tasks = open.filter((task) => task.holds.includes("paused"));
  if (!tasks.length) return [];
  return [{
    key: "paused",
    tone: "hold",
    title: tasks.length === 1 ? `Paused: ${safe(tasks[0].title)}` : `${tasks.length} tasks are paused`,
    count: "until somebody resumes",
    since: earliest(tasks.map((task) => task.updated_at)),
    detail: "Bots get no work of it until somebody resumes it.",
    fix: `swarmkeeper task resume ${tasks[0].id}`,
    tasks,
    more: null
  }];
}
function longest(open) {
  return open.filter((task) => task.outcome === null && !task.holds.some((hold) => hold !== "budget")).map((task) => ({
    key: task.id,
    tone: task.progress.failed ? "bad" : lookOfTask(task).tone,
    title: safe(task.title),
    since: task.created_at,
    count: `${task.progress.done} of ${task.progress.total} done${task.progress.failed ? `, ${task.progress.failed} failed` : ""}`,
    detail: "",
    fix: null,
    tasks: [task],
    more: { href: `#/tasks/${task.id}`, name: "Open the task" },
    explain: task.id
  }));
}
var ALIKE_WORDS = 6;
var ALIKE_MAX = 120;
function alike(task) {
  const said2 = task.error?.message || task.failure?.detail || (task.outcome ?? "failed");
  return said2.split("\n")[0].split(/\s+/).slice(0, ALIKE_WORDS).join(" ").replace(/\d+/g, "…").slice(0, ALIKE_MAX);
}
function like(task, said2) {
  const words = said2.match(/(?<![^\s(["'])[A-Za-z_]{2,}(?![^\s)\]"':;,.])/g) ?? [];
  if (said2.length === ALIKE_MAX) words.pop();
  return task.error?.message && words.length ? ` error:"${words.join(" ")}"` : task.failure ? ` error:${task.failure.code}` : "";
}
function failures(tasks, since2) {
  const groups = /* @__PURE__ */ new Map();
  for (const task of tasks) {
    if (Date.parse(ended(task)) < since2) continue;
    const words = alike(task);
    groups.set(words, [...groups.get(words) ?? [], task]);
  }
  const after = new Date(since2).toISOString().slice(0, 16);
  return [...groups].map(([words, of]) => ({
    key: `failed ${words}`,
    tone: "bad",
    title: safe(words),
    count: of.length === 1 ? safe(of[0].title) : `${of.length} tasks`,
    since: of.map(ended).sort().at(-1),
    detail: of[0].error?.message ?? of[0].failure?.detail ?? "",
    fix: of.length === 1 ? `swarmkeeper task retry ${of[0].id}` : null,
    tasks: of,
    more: { href: found(`status:failed${like(of[0], words)} after:${after}Z`), name: "All that failed so, of the tasks of a day" }
  })).sort((a5, b3) => b3.tasks.length - a5.tasks.length || b3.since.localeCompare(a5.since));
}
var ended = (task) => task.ended_at ?? task.updated_at;
var sum = (numbers) => numbers.reduce((all, each) => all + each, 0);
var earliest = (times) => times.filter((time) => time !== null).sort()[0] ?? null;

// src/pages/inbox.tsx
var DAY_MS = 864e5;
var SEEN_MAX = 100;
var LONGEST_MAX = 3;
var OPEN = ["CREATED", "PLANNED", "IN_PROGRESS", "COMPLETED"];
var GAP_MS2 = 5e3;
var KINDS = { plan: "Approve a plan", final: "Approve a result", rounds: "More rounds?", question: "A bot asks", budget: "Raise a budget?" };
async function read() {
  const [queues, open, failed2] = await Promise.all([
    may("skill.read") ? api.queuesSeen() : null,
    api.rows({ status: OPEN, order_by: "created_at", page_size: SEEN_MAX }),
    api.rows({ status: ["FAILED"], order_by: "-created_at", page_size: SEEN_MAX })
  ]);
  return { queues, open, failed: failed2 };
}
function Inbox({ pane: Pane2 }) {
  const asked = useRead("approvals", async () => may("approval.read") ? api.needed() : null);
  const looked = useRead("inbox", read, { gap: GAP_MS2 });
  const needs2 = asked.state.value, seen = looked.state.value;
  const approvals = needs2.data?.items ?? [];
  const causes = seen.data ? [...stuck(seen.data.queues?.items ?? []), ...paused(seen.data.open.items)] : [];
  const failed2 = seen.data ? failures(seen.data.failed.items, now.value - DAY_MS) : [];
  const asking = new Set(approvals.map((each) => each.task_id));
  const all = seen.data ? longest(seen.data.open.items) : [], open = all.filter((each) => !asking.has(each.key)).slice(0, LONGEST_MAX);
  const query = route.value.query;
  const chosen = query.get("approval") ?? query.get("row");
  const entries = [
    ...approvals.map((each) => ({ key: each.id, href: written(["inbox"], new URLSearchParams({ approval: each.id })), opens: `#/tasks/${each.task_id}` })),
    ...[...causes, ...failed2, ...open].map((each) => ({ key: each.key, href: hrefOf(each), opens: each.tasks.length === 1 ? `#/tasks/${each.tasks[0].id}` : each.more?.href }))
  ];
  const at = entries.findIndex((each) => each.key === chosen);
  const step = (to) => {
    const entry = entries[Math.max(0, Math.min(to, entries.length - 1))];
    if (entry) go(entry.href, true);
  };
  A2(() => {
    if (needs2.data) approvalsOpen.value ??= needs2.data.open;
  }, [needs2.data]);
  A2(() => document.querySelector(".list [aria-current]")?.scrollIntoView({ block: "nearest" }), [chosen]);
  useKeys({
    j: { does: "next", run: () => step(at + 1) },
    k: { does: "previous", run: () => step(at - 1) },
    Enter: { does: "open the task", run: () => {
      const to = entries[at]?.opens;
      if (to) go(to);
    } },
    Escape: { does: "", run: () => {
      if (chosen) go("#/inbox", true);
    } }
  });
  const decided = () => {
    void asked.again();
    const next = approvals.find((each) => each.id !== chosen);
    go(next ? entries.find((each) => each.key === next.id).href : "#/inbox", true);
  };
  const known = needs2.data !== void 0 && seen.data !== void 0;
  const nothing = known && !approvals.length && !causes.length && !failed2.length;
  const rows = (of) => of.map((each) => a4(Row, { href: hrefOf(each), chosen: each.key === chosen, tone: each.tone, title: each.title, age: since(each.since, now.value), small: each.count, code: each.fix }, each.key));
  return a4("div", { class: `inbox ${chosen ? "with-decision" : ""}`, children: [
    a4("h1", { class: "hidden-text", children: "Inbox" }),
    a4("div", { class: "list", children: [
      a4(Trouble, { read: needs2, what: "the approvals" }),
      nothing && a4(Quiet, { open: seen.data.open, queues: seen.data.queues }),
      needs2.data === null && a4("p", { class: "none", children: "What needs a decision is shown to whose role has approval.read: approver, operator, viewer, auditor, admin." }),
      approvals.length > 0 && a4(Part, { id: "needs", name: "Needs you", column: "ends in", children: [
        approvals.map((each) => a4(
          Row,
          {
            href: written(["inbox"], new URLSearchParams({ approval: each.id })),
            chosen: each.id === chosen,
            tone: "hold",
            title: safe(each.task_title ?? each.question),
            age: until(each.expires_at, now.value),
            small: `${KINDS[each.kind] ?? each.kind}${each.asker ? ` (${safe(nameOf(each.asker))})` : ""}${each.task_title ? `: ${safe(each.question)}` : ""} · for ${since(each.opened_at, now.value)}`
          },
          each.id
        )),
        needs2.data.open > approvals.length && a4("li", { class: "none", children: [
          "and ",
          needs2.data.open - approvals.length,
          needs2.data.open_at_least ? " or more" : "",
          " that end later"
        ] })
      ] }),
      a4(Trouble, { read: seen, what: "what is stuck" }),
      !seen.data && seen.slow && a4(Skeleton, { rows: 4 }),
      causes.length > 0 && a4(Part, { id: "stuck", name: "Stuck", column: "oldest", children: rows(causes) }),
      failed2.length > 0 && a4(Part, { id: "failed", name: "Failed within a day", column: "newest", children: rows(failed2) }),
      open.length > 0 && a4(Part, { id: "longest", name: "Open for longest", column: "for", children: rows(open) }),
      seen.data?.queues === null && a4("p", { class: "none", children: "Which queues are stuck is shown to whose role has skill.read: operator, approver, viewer, auditor, admin." })
    ] }),
    a4("div", { class: "decision", children: chosen ? a4(Pane2, { approval: query.get("approval"), cause: [...causes, ...failed2, ...all].find((each) => each.key === chosen), decided }, chosen) : known && entries.length > 0 && a4("p", { class: "none", children: [
      "Choose a row: ",
      a4(Key, { children: "j" }),
      " ",
      a4(Key, { children: "k" })
    ] }) })
  ] });
}
var hrefOf = (cause) => written(["inbox"], new URLSearchParams({ row: cause.key }));
var nameOf = (asker) => /^key_\w+$/.test(asker) ? `key …${asker.slice(-5)}` : asker;
function Part({ id: id2, name, column, children }) {
  return a4("section", { "aria-labelledby": id2, children: [
    a4("h2", { id: id2, children: [
      name,
      " ",
      a4("span", { "aria-hidden": "true", children: column })
    ] }),
    a4("ul", { children })
  ] });
}
var Row = ({ href, chosen, tone, title, age, small, code }) => a4("li", { children: a4("a", { class: "entry", href, "aria-current": chosen ? "true" : void 0, children: [
  a4(Glyph, { tone }),
  a4("b", { children: title }),
  a4("span", { class: "num", children: age }),
  a4("small", { children: [
    small,
    code && a4($, { children: [
      " · ",
      a4("code", { children: safe(code) })
    ] })
  ] })
] }) });
function Quiet({ open, queues }) {
  const tasks = counts.value?.open_tasks ?? open.items.length;
  const leased = queues?.items.reduce((all, each) => all + each.leased, 0) ?? 0;
  return a4("section", { "aria-label": "Quiet", class: "all-quiet", children: [
    a4("p", { children: [
      a4(Glyph, { tone: "ok" }),
      " Nothing needs you. ",
      tasks === 0 ? "No task is open." : `${grouped(tasks)} ${tasks === 1 ? "task is" : "tasks are"} open, ${leased ? `bots work on ${grouped(leased)} of their parts` : "no bot is at work"}.`
    ] }),
    tasks === 0 && a4("p", { class: "none", children: [
      "Submit one, and it shows here: ",
      a4(Command, { text: FIRST_TASK })
    ] })
  ] });
}

// src/pages/signin.tsx
var problem = y3("");
function SignIn() {
  const field = T2(null);
  const [busy, setBusy] = d2(false);
  A2(() => field.current.focus(), []);
  async function submit(event) {
    event.preventDefault();
    const credential = field.current.value.trim();
    if (!credential) return;
    setBusy(true);
    try {
      session.value = await api.signIn(credential);
      problem.value = "";
    } catch (error) {
      problem.value = error instanceof ApiError ? error.message : String(error);
      setBusy(false);
      field.current?.select();
    }
  }
  return a4("main", { class: "sign-in", children: a4("form", { onSubmit: (event) => void submit(event), autocomplete: "off", children: [
    a4("h1", { children: "swarmkeeper" }),
    a4("label", { for: "credential", children: "API key or token" }),
    a4("input", { id: "credential", ref: field, type: "password", required: true, autocomplete: "off", spellcheck: false, "aria-describedby": "hint", "aria-invalid": problem.value ? "true" : void 0 }),
    !isSecureContext && a4("p", { class: "trouble", role: "alert", children: [
      a4("strong", { children: "Nobody can sign in at this address:" }),
      " who listens on the way could read the session. Use https, or a tunnel:",
      " ",
      a4("code", { children: [
        "ssh -L ",
        location.port || "7700",
        ":127.0.0.1:",
        location.port || "7700",
        " ",
        location.hostname
      ] }),
      ", then open ",
      a4("code", { children: [
        "127.0.0.1:",
        location.port || "7700",
        "/ui/"
      ] }),
      " here."
    ] }),
    problem.value && a4("p", { class: "trouble", role: "alert", children: problem.value }),
    a4("button", { type: "submit", class: "main", disabled: busy, children: "Sign in" }),
    a4("p", { id: "hint", class: "hint", children: [
      a4("code", { children: "swarmkeeper dev" }),
      " prints a link that signs in. A key comes from ",
      a4("code", { children: "swarmkeeper key create --role admin" }),
      ", a token from your identity provider."
    ] })
  ] }) });
}

// src/chips.tsx
function Chips({ chips, toggle }) {
  const [chosen, setChosen] = d2(0);
  const stop = Math.min(chosen, chips.length - 1);
  const step = (event) => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!by) return;
    const next = (stop + by + chips.length) % chips.length;
    setChosen(next);
    event.currentTarget.children[next].focus();
  };
  return a4("div", { class: "chips", role: "toolbar", "aria-label": "Filters", onKeyDown: step, children: chips.map((each, index) => a4("button", { type: "button", class: "chip", tabIndex: index === stop ? 0 : -1, "aria-pressed": each.pressed, onClick: () => {
    setChosen(index);
    toggle(each.id);
  }, children: [
    a4(Glyph, { tone: each.tone }),
    " ",
    each.word,
    " ",
    each.number !== void 0 && a4("b", { class: "num", children: grouped(each.number) })
  ] }, each.id)) });
}

// src/layout.ts
var SIZES = { width: 168, height: 44, gapX: 56, gapY: 14 };
var BEND_HEIGHT = 8;
var BEND_WEIGHT = 8;
var SWEEPS = 8;
var BENDS_MAX = 4e3;
var EXCHANGES_MAX = 12e4;
function ranksOf(count, edges) {
  const rank = new Int32Array(count);
  const waits = new Int32Array(count);
  const next = Array.from({ length: count }, () => []);
  for (const [from, to] of edges) {
    next[from].push(to);
    waits[to]++;
  }
  const free = [];
  for (let node = 0; node < count; node++) if (waits[node] === 0) free.push(node);
  for (let at = 0; at < free.length; at++) {
    const from = free[at];
    for (const to of next[from]) {
      if (rank[to] <= rank[from]) rank[to] = rank[from] + 1;
      if (--waits[to] === 0) free.push(to);
    }
  }
  return rank;
}
function crossings(order, next, place) {
  let sum2 = 0;
  for (let rank = 0; rank + 1 < order.length; rank++) {
    const width = order[rank + 1].length;
    const tree = new Int32Array(width + 1);
    let seen = 0;
    for (const node of order[rank]) {
      const ends = next[node];
      for (const end of ends) {
        let notAfter = 0;
        for (let at = place[end] + 1; at > 0; at -= at & -at) notAfter += tree[at];
        sum2 += seen - notAfter;
      }
      for (const end of ends) for (let at = place[end] + 1; at <= width; at += at & -at) tree[at]++;
      seen += ends.length;
    }
  }
  return sum2;
}
function layout(ids, edges, sizes = SIZES, earlier) {
  const number = new Map(ids.map((id2, index) => [id2, index]));
  const known = [];
  for (const [from, to] of edges) {
    const a5 = number.get(from), b3 = number.get(to);
    if (a5 !== void 0 && b3 !== void 0 && a5 !== b3) known.push([a5, b3]);
  }
  const rank = Array.from(ranksOf(ids.length, known));
  const order = Array.from({ length: Math.max(0, ...rank) + (ids.length ? 1 : 0) }, () => []);
  for (let node = 0; node < ids.length; node++) order[rank[node]].push(node);
  const held = /* @__PURE__ */ new Map();
  if (earlier) {
    ids.forEach((id2, node) => {
      if (earlier.at.has(id2)) held.set(node, earlier.at.get(id2).y);
    });
    for (const row of order) row.sort((a5, b3) => (held.get(a5) ?? 1e9) - (held.get(b3) ?? 1e9));
  }
  const { chains, next, before } = withBends(known, rank, order);
  sort(order, next, before, rank.length, held);
  const middle = heights(order, next, before, ids.length, rank.length, sizes);
  let top = Infinity, bottom = -Infinity;
  for (let node = 0; node < ids.length; node++) {
    top = Math.min(top, middle[node] - sizes.height / 2);
    bottom = Math.max(bottom, middle[node] + sizes.height / 2);
  }
  for (let node = ids.length; node < rank.length; node++) {
    top = Math.min(top, middle[node]);
    bottom = Math.max(bottom, middle[node]);
  }
  const x3 = (node) => rank[node] * (sizes.width + sizes.gapX);
  const at = /* @__PURE__ */ new Map();
  ids.forEach((id2, node) => at.set(id2, { x: x3(node), y: middle[node] - sizes.height / 2 - top }));
  return {
    at,
    edges: chains.map((chain) => {
      const from = chain[0], to = chain[chain.length - 1];
      const points = [{ x: x3(from) + sizes.width, y: middle[from] - top }];
      for (const bend of chain.slice(1, -1)) {
        points.push({ x: x3(bend), y: middle[bend] - top }, { x: x3(bend) + sizes.width, y: middle[bend] - top });
      }
      points.push({ x: x3(to), y: middle[to] - top });
      return { from: ids[from], to: ids[to], points };
    }),
    ranks: order.map((row) => row.filter((node) => node < ids.length).map((node) => ids[node])),
    width: ids.length ? order.length * (sizes.width + sizes.gapX) - sizes.gapX : 0,
    height: ids.length ? bottom - top : 0
  };
}
function withBends(edges, rank, order) {
  let bends = 0;
  for (const [from, to] of edges) bends += Math.max(0, rank[to] - rank[from] - 1);
  const cuts = bends <= BENDS_MAX;
  const chains = [];
  const next = rank.map(() => []);
  const before = rank.map(() => []);
  const link = (a5, b3) => {
    next[a5].push(b3);
    before[b3].push(a5);
  };
  for (const [from, to] of edges) {
    const chain = [from];
    if (cuts) {
      for (let between = rank[from] + 1; between < rank[to]; between++) {
        const bend = rank.length;
        rank.push(between);
        next.push([]);
        before.push([]);
        order[between].push(bend);
        link(chain[chain.length - 1], bend);
        chain.push(bend);
      }
    }
    if (cuts || rank[to] === rank[from] + 1) link(chain[chain.length - 1], to);
    chain.push(to);
    chains.push(chain);
  }
  return { chains, next, before };
}
function sort(order, next, before, count, held) {
  const place = new Int32Array(count);
  const number = (row) => row.forEach((node, index) => {
    place[node] = index;
  });
  order.forEach(number);
  let best = order.map((row) => [...row]);
  let fewest = crossings(order, next, place);
  let budget = EXCHANGES_MAX;
  const wanted = new Float64Array(count);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    const forth = sweep % 2 === 0;
    const neighbours = forth ? before : next;
    for (let step = 1; step < order.length; step++) {
      const row = order[forth ? step : order.length - 1 - step];
      for (const node of row) {
        const near = neighbours[node];
        let sum2 = 0;
        for (const other of near) sum2 += place[other];
        wanted[node] = near.length ? sum2 / near.length : place[node];
      }
      row.sort((a5, b3) => wanted[a5] - wanted[b3] || place[a5] - place[b3]);
      if (held.size) {
        const kept2 = row.filter((node) => held.has(node)).sort((a5, b3) => held.get(a5) - held.get(b3));
        let turn = 0;
        row.forEach((node, at) => {
          if (held.has(node)) row[at] = kept2[turn++];
        });
      }
      number(row);
    }
    if (sweep >= SWEEPS / 2 - 1) budget = exchange(order, next, before, place, budget, held);
    const now3 = crossings(order, next, place);
    if (now3 < fewest) {
      fewest = now3;
      best = order.map((row) => [...row]);
    }
  }
  best.forEach((row, rank) => {
    order[rank] = row;
  });
}
function exchange(order, next, before, place, budget, held) {
  for (let again = true; again && budget > 0; ) {
    again = false;
    for (const row of order) {
      for (let at = 0; at + 1 < row.length && budget > 0; at++) {
        const a5 = row[at], b3 = row[at + 1];
        if (held.has(a5) && held.has(b3)) continue;
        budget -= 1 + next[a5].length * next[b3].length + before[a5].length * before[b3].length;
        if (gain(next[a5], next[b3], place) + gain(before[a5], before[b3], place) > 0) {
          row[at] = b3;
          row[at + 1] = a5;
          place[b3] = at;
          place[a5] = at + 1;
          again = true;
        }
      }
    }
  }
  return budget;
}
function gain(ofUpper, ofLower, place) {
  let lost = 0;
  for (const a5 of ofUpper) for (const b3 of ofLower) lost += Math.sign(place[a5] - place[b3]);
  return lost;
}
function heights(order, next, before, nodes, count, sizes) {
  const tall = (node) => node < nodes ? sizes.height : BEND_HEIGHT;
  const middle = new Float64Array(count);
  const offsets = order.map((row) => {
    const offset = new Float64Array(row.length);
    for (let at = 1; at < row.length; at++) {
      offset[at] = offset[at - 1] + (tall(row[at - 1]) + tall(row[at])) / 2 + sizes.gapY;
    }
    return offset;
  });
  order.forEach((row, rank) => {
    const offset = offsets[rank];
    const half = row.length ? offset[row.length - 1] / 2 : 0;
    row.forEach((node, at) => {
      middle[node] = offset[at] - half;
    });
  });
  for (let sweep = 0; sweep < SWEEPS + 2; sweep++) {
    const forth = sweep % 2 === 0;
    for (let step = 0; step < order.length; step++) {
      const rank = forth ? step : order.length - 1 - step;
      const row = order[rank], offset = offsets[rank];
      const last = sweep >= SWEEPS;
      const wanted = row.map((node) => {
        const near = last ? [...before[node], ...next[node]] : (forth ? before : next)[node];
        return near.length ? median(near, middle) : middle[node];
      });
      const weight = row.map((node) => node < nodes ? 1 : BEND_WEIGHT);
      pooled(wanted, weight, offset).forEach((height, at) => {
        middle[row[at]] = height;
      });
    }
  }
  return middle;
}
function median(near, middle) {
  const first = middle[near[0]];
  if (near.length === 1) return first;
  if (near.length === 2) return (first + middle[near[1]]) / 2;
  const sorted = near.map((node) => middle[node]).sort((a5, b3) => a5 - b3);
  return (sorted[sorted.length - 1 >> 1] + sorted[sorted.length >> 1]) / 2;
}
function pooled(wanted, weight, offset) {
  const sums = [], weights = [], counts2 = [];
  for (let at = 0; at < wanted.length; at++) {
    sums.push((wanted[at] - offset[at]) * weight[at]);
    weights.push(weight[at]);
    counts2.push(1);
    for (let end = sums.length - 1; end > 0 && sums[end - 1] / weights[end - 1] > sums[end] / weights[end]; end--) {
      sums[end - 1] += sums.pop();
      weights[end - 1] += weights.pop();
      counts2[end - 1] += counts2.pop();
    }
  }
  const heights2 = [];
  sums.forEach((sum2, block) => {
    for (let n3 = counts2[block]; n3 > 0; n3--) heights2.push(sum2 / weights[block] + offset[heights2.length]);
  });
  return heights2;
}
function curve(points) {
  let path = `M${round(points[0].x)} ${round(points[0].y)}`;
  for (let at = 1; at < points.length; at++) {
    const a5 = points[at - 1], b3 = points[at], half = (a5.x + b3.x) / 2;
    path += a5.y === b3.y ? `L${round(b3.x)} ${round(b3.y)}` : `C${round(half)} ${round(a5.y)} ${round(half)} ${round(b3.y)} ${round(b3.x)} ${round(b3.y)}`;
  }
  return path;
}
var round = (value) => Math.round(value * 10) / 10;
function beside(placed, key, way) {
  const rank = placed.ranks.findIndex((row2) => row2.includes(key)), row = placed.ranks[rank] ?? [];
  if (way === "ArrowUp" || way === "ArrowDown") return row[row.indexOf(key) + (way === "ArrowUp" ? -1 : 1)];
  const forth = way === "ArrowRight";
  const linked = placed.edges.filter((edge) => (forth ? edge.from : edge.to) === key).map((edge) => forth ? edge.to : edge.from);
  const far = (node) => {
    const a5 = placed.at.get(node), b3 = placed.at.get(key);
    return Math.abs(a5.x - b3.x) * 1e3 + Math.abs(a5.y - b3.y);
  };
  return (linked.length ? linked : [...placed.ranks[rank + (forth ? 1 : -1)] ?? []]).sort((a5, b3) => far(a5) - far(b3))[0];
}

// src/graph.tsx
var GRAPH_MAX = 200;
var MARGIN = 12;
var TITLE_LENGTH = 20;
var SHRUNK = 0.75;
function edgesOf(subtasks) {
  return subtasks.flatMap((subtask) => (subtask.depends_on ?? []).map((each) => typeof each === "string" ? { from: each, to: subtask.key, when: "success" } : { from: each.key, to: subtask.key, when: each.when ?? "success" }));
}
var nodesOf = (subtasks) => subtasks.map((each) => ({
  key: each.key,
  status: each.status ?? "",
  note: [each.attempt > 1 ? `try ${each.attempt}` : "", each.bot ?? (each.required_skills ?? []).join(", ")].filter(Boolean).join(" · ")
}));
var short = (text, max) => text.length > max ? `${text.slice(0, max - 1)}…` : text;
function Graph({ nodes, edges, chosen, choose, fit = false, label }) {
  const shape = nodes.map((each) => each.key).join("\n") + "\0" + edges.map((each) => `${each.from}
${each.to}`).join("\0");
  const earlier = T2(void 0);
  const placed = w2(() => earlier.current = layout(nodes.map((each) => each.key), edges.map((each) => [each.from, each.to]), SIZES, earlier.current), [shape]);
  const of = new Map(nodes.map((each) => [each.key, each]));
  const when = new Map(edges.map((each) => [`${each.from}\0${each.to}`, each.when]));
  const width = placed.width + 2 * MARGIN, height = placed.height + 2 * MARGIN;
  const box = T2(null);
  const [pane, setPane] = d2([width, height]);
  const [active, setActive] = d2(void 0);
  const stop = active !== void 0 && of.has(active) ? active : chosen !== void 0 && of.has(chosen) ? chosen : nodes[0]?.key;
  const wide = Math.min(1, pane[0] / width), scale = fit ? Math.min(wide, pane[1] / height) : wide < SHRUNK ? 1 : wide;
  F2(() => {
    const element = box.current;
    const measured = new ResizeObserver(() => setPane([element.clientWidth, element.clientHeight]));
    setPane([element.clientWidth, element.clientHeight]);
    measured.observe(element);
    return () => measured.disconnect();
  }, []);
  A2(() => {
    const at = chosen === void 0 ? void 0 : placed.at.get(chosen), element = box.current;
    if (!at || !element) return;
    const x3 = at.x * scale, y5 = at.y * scale;
    if (x3 < element.scrollLeft || x3 + SIZES.width * scale > element.scrollLeft + element.clientWidth) element.scrollLeft = x3 - element.clientWidth / 2;
    if (y5 < element.scrollTop || y5 + SIZES.height * scale > element.scrollTop + element.clientHeight) element.scrollTop = y5 - element.clientHeight / 2;
  }, [chosen, placed, scale]);
  function press(event, key) {
    if (event.key === "Enter" || event.key === " ") choose?.(key);
    else if (!event.key.startsWith("Arrow")) return;
    else {
      const next = beside(placed, key, event.key);
      if (next !== void 0) {
        setActive(next);
        [...box.current.querySelectorAll("[data-key]")].find((each) => each.dataset["key"] === next)?.focus();
      }
    }
    event.preventDefault();
  }
  return a4("div", { class: fit ? "graph fit" : "graph", ref: box, tabIndex: choose ? void 0 : 0, role: "group", "aria-label": label, children: a4("svg", { width: width * scale, height: height * scale, viewBox: `0 0 ${width} ${height}`, role: "presentation", children: a4("g", { transform: `translate(${MARGIN} ${MARGIN})`, children: [
    placed.edges.map((edge) => a4("path", { d: curve(edge.points), class: `edge ${when.get(`${edge.from}\0${edge.to}`) === "success" ? "" : "loose"} tone-${lookOfItem(of.get(edge.from).status).tone}` }, `${edge.from}\0${edge.to}`)),
    [...placed.at].map(([key, at]) => {
      const node = of.get(key), look = node.status ? lookOfItem(node.status) : { tone: "wait", word: "planned" };
      return a4(
        "g",
        {
          transform: `translate(${at.x} ${at.y})`,
          class: `node tone-${look.tone} ${key === chosen ? "chosen" : ""}`,
          ...choose ? {
            role: "button",
            "data-key": key,
            tabIndex: key === stop ? 0 : -1,
            "aria-pressed": key === chosen,
            onFocus: () => setActive(key),
            onClick: () => choose(key),
            onKeyDown: (event) => press(event, key)
          } : {},
          children: [
            (key.length > TITLE_LENGTH || node.note.length > TITLE_LENGTH) && a4("title", { children: `${safe(key)} ${look.word} · ${safe(node.note)}` }),
            a4("rect", { width: SIZES.width, height: SIZES.height, rx: "4", class: "box" }),
            a4("rect", { width: "3", height: SIZES.height, class: "side" }),
            a4("g", { transform: "translate(10 7)", children: a4(Glyph, { tone: look.tone }) }),
            a4("text", { x: "30", y: "18", class: "name", children: short(safe(key), TITLE_LENGTH) }),
            a4("text", { x: "30", y: "34", class: "note", children: short(`${look.word}${node.note ? ` · ${safe(node.note)}` : ""}`, TITLE_LENGTH + 5) })
          ]
        },
        key
      );
    })
  ] }) }) });
}

// src/windowed.tsx
var BEYOND = 8;
function Windowed({ count, rowHeight, row, chosen, label, headRow, total, nearEnd, seen }) {
  const box = T2(null), body = T2(null);
  const [view, setView] = d2([0, 40]);
  function look() {
    const element = box.current;
    if (!element) return;
    const top = Math.max(0, element.scrollTop - body.current.offsetTop);
    const begin3 = Math.max(0, Math.floor(top / rowHeight) - BEYOND);
    const end2 = Math.ceil((top + element.clientHeight) / rowHeight) + BEYOND;
    setView((before) => before[0] === begin3 && before[1] === end2 ? before : [begin3, end2]);
    seen?.(begin3 + BEYOND);
    if (end2 >= count - 20) nearEnd();
  }
  A2(() => {
    const resized = new ResizeObserver(look);
    resized.observe(box.current);
    return () => resized.disconnect();
  });
  A2(look, [count, rowHeight]);
  A2(() => {
    const element = box.current;
    if (chosen < 0) return;
    const top = body.current.offsetTop + chosen * rowHeight, above = body.current.offsetTop;
    if (top - above < element.scrollTop) element.scrollTop = top - above;
    else if (top + rowHeight > element.scrollTop + element.clientHeight) element.scrollTop = top + rowHeight - element.clientHeight;
  }, [chosen]);
  const begin2 = Math.min(view[0], count), end = Math.min(view[1], count);
  const rows = [];
  for (let index = begin2; index < end; index++) rows.push(row(index));
  return a4("div", { class: "windowed", ref: box, onScroll: look, role: "table", "aria-label": label, "aria-rowcount": total < 0 ? -1 : total + 1, children: [
    headRow,
    a4("div", { role: "rowgroup", ref: body, class: "rows", style: { height: `${count * rowHeight}px` }, children: a4("div", { class: "moved", role: "presentation", style: { transform: `translateY(${begin2 * rowHeight}px)` }, children: rows }) })
  ] });
}

// src/main.tsx
var Tasks = later(() => import("./tasks.js"), "Tasks");
var Bots = later(() => import("./fleet.js"), "Bots");
var Queues = later(() => import("./fleet.js"), "Queues");
var TaskPage = later(() => import("./task.js"), "TaskPage");
var Palette = later(() => import("./palette.js"), "Palette");
var Pane = later(() => import("./decision.js"), "Pane");
var SHOWN = {
  inbox: () => a4(Inbox, { pane: Pane }),
  tasks: (id2) => id2 ? a4(TaskPage, { id: id2 }, id2) : a4(Tasks, {}),
  bots: () => a4(Bots, {}),
  queues: () => a4(Queues, {})
};
for (const name of ["Audit", "Costs", "Evaluations", "Settings", "Simulate"]) {
  const Page = later(() => name === "Simulate" ? import("./simulate.js") : import("./desk.js"), name);
  SHOWN[name.toLowerCase()] = () => a4(Page, {}, name);
}
var pages = PAGES.filter(({ path }) => SHOWN[path]);
function App() {
  if (session.value === void 0) return a4("p", { class: "begin", role: "status", children: problem.value || "Reading who you are." });
  if (session.value === null) return a4(SignIn, {});
  const [page = "inbox", id2] = route.value.path;
  return a4(Frame, { pages, page, id: id2, children: [
    pages.some(({ path }) => path === page) ? SHOWN[page](id2) : a4("div", { class: "empty", children: [
      a4("h1", { children: "There is no such page." }),
      a4("p", { children: a4("a", { href: "#/inbox", children: "Go to the inbox" }) })
    ] }),
    palette.value && a4(Dialog, { bare: true, title: "Search", ahead: (sign) => {
      ahead.value += sign;
    }, close: () => {
      palette.value = null;
    }, children: a4(Palette, { pages }) })
  ] });
}
async function begin(token2) {
  try {
    session.value = token2 ? await api.redeem(token2) : await api.session();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.disconnected) {
      problem.value = "The server does not answer. Trying again.";
      setTimeout(() => void begin(token2), 2e3);
      return;
    }
    if (token2) problem.value = error.message;
    session.value = token2 ? await api.session().catch(() => null) : null;
  }
}
keepChoices();
follow();
listen();
tick();
x2(() => {
  if (session.value) followChanges();
  else if (session.value === null) stopFollowing();
});
Q(a4(App, {}), document.getElementById("app"));
var token = /^#t=([\w-]+)$/.exec(location.hash)?.[1];
if (token) go("#/inbox", true);
void begin(token);
export {
  Act,
  Ago,
  ApiError,
  BASE,
  Chips,
  Command,
  Dialog,
  Disconnected,
  EXACT,
  FIRST_TASK,
  $ as Fragment,
  Frame,
  GRAPH_MAX,
  Glyph,
  Graph,
  Inbox,
  KINDS,
  Key,
  Labels,
  NAMES,
  NotDone,
  OUTCOMES2 as OUTCOMES,
  PAGES,
  Progress,
  Refused,
  SKELETON_AFTER_MS,
  SORTS,
  STATUSES,
  Skeleton,
  State,
  Trouble,
  Value,
  When,
  Windowed,
  act,
  ahead,
  api,
  approvalsOpen,
  r3 as batch,
  call,
  O as computed,
  connection,
  counts,
  edgesOf,
  x2 as effect,
  exactly,
  filterWord,
  follow,
  followChanges,
  get,
  go,
  grouped,
  has,
  head,
  help,
  inZone,
  a4 as jsx,
  a4 as jsxs,
  keep,
  keepChoices,
  kept,
  letters,
  listed,
  listen,
  lists,
  lookOfEnding,
  lookOfItem,
  lookOfTask,
  may,
  moment,
  money,
  nameOf,
  nodesOf,
  now,
  ofAlso,
  ofTask,
  ofTasks,
  palette,
  parse,
  pending2 as pending,
  ranksOf,
  rolesFor,
  route,
  safe,
  said,
  say,
  scriptUrl,
  session,
  shortId,
  y3 as signal,
  since,
  span,
  stopFollowing,
  streaming,
  theme,
  tick,
  toggled,
  tokens,
  tryNow,
  understood,
  until,
  useAct,
  A2 as useEffect,
  useKeys,
  F2 as useLayoutEffect,
  w2 as useMemo,
  useRead,
  T2 as useRef,
  d2 as useState,
  utc,
  whyNot,
  worse,
  written,
  zone
};
