import { expect, test } from '@jest/globals';
import { renderSummary } from '../../../src/steps/summary.js';

const archive = { files: 1234, bytes: 5_000_000, compressedBytes: 1_200_000 };

test('a summary has a title, facts, a table with totals, and remarks', () => {
  expect(
    renderSummary({
      title: 'Saved 2 cache mounts',
      facts: [['Key', 'k-1']],
      figures: [['Time', 'pack 1.3 s, the whole step 3.0 s']],
      rows: [
        { mount: { id: 'go' }, state: 'restored', archive, seconds: 1.26 },
        { mount: { id: 'npm', namespace: 'n' }, state: 'restored', archive, seconds: 0.5 },
        { mount: { id: 'old' }, state: 'not saved yet' },
      ],
      remarks: ['old is absent.'],
    }),
  ).toBe(`<h3>Saved 2 cache mounts</h3>
<p>Key: <code>k-1</code><br>Time: pack 1.3 s, the whole step 3.0 s</p>
<table>
<tr><th align="left">Cache mount</th><th align="left">State</th><th align="right" nowrap>Files</th><th align="right" nowrap>Size</th><th align="right" nowrap>Compressed</th><th align="right" nowrap>Time</th></tr>
<tr><td><code>go</code></td><td>restored</td><td align="right" nowrap>1,234</td><td align="right" nowrap>5.0 MB</td><td align="right" nowrap>1.2 MB</td><td align="right" nowrap>1.3 s</td></tr>
<tr><td><code>npm (namespace=n)</code></td><td>restored</td><td align="right" nowrap>1,234</td><td align="right" nowrap>5.0 MB</td><td align="right" nowrap>1.2 MB</td><td align="right" nowrap>0.5 s</td></tr>
<tr><td><code>old</code></td><td>not saved yet</td><td align="right" nowrap></td><td align="right" nowrap></td><td align="right" nowrap></td><td align="right" nowrap></td></tr>
<tr><td><strong>Total</strong></td><td>2 mounts</td><td align="right" nowrap>2,468</td><td align="right" nowrap>10.0 MB</td><td align="right" nowrap>2.4 MB</td><td align="right" nowrap></td></tr>
</table>
<ul>
<li>old is absent.</li>
</ul>
`);
});

test('after a save, each mount has its size in the cache, and what this run has added', () => {
  const cached = { files: 2000, bytes: 50_000_000, compressedBytes: 20_000_000 };
  const rows = [
    { mount: { id: 'delta' }, state: 'changes packed', archive, cached, seconds: 1 },
    { mount: { id: 'same' }, state: 'unchanged', cached, seconds: 2 },
    { mount: { id: 'empty' }, state: 'empty' },
  ];
  const summary = renderSummary({ title: '', facts: [], figures: [], rows, remarks: [] });
  const cells = summary
    .split('\n')
    .filter((line) => line.startsWith('<tr>'))
    .map((line) => line.replace(/<[^>]*>/g, '|').replace(/\|+/g, '|'));
  expect(cells).toEqual([
    '|Cache mount|State|Files|Size|Compressed|Saved|Time|',
    '|delta|changes packed|2,000|50.0 MB|20.0 MB|1.2 MB|1.0 s|',
    '|same|unchanged|2,000|50.0 MB|20.0 MB|0 bytes|2.0 s|',
    '|empty|empty|',
    '|Total|2 mounts|4,000|100 MB|40.0 MB|1.2 MB|',
  ]);
});

test('a column in which nothing stands is left out', () => {
  const rows = [
    { mount: { id: 'go' }, state: 'not saved yet' },
    { mount: { id: 'npm' }, state: 'not saved yet' },
  ];
  expect(renderSummary({ title: '', facts: [], figures: [], rows, remarks: [] })).toContain(`<table>
<tr><th align="left">Cache mount</th><th align="left">State</th></tr>
<tr><td><code>go</code></td><td>not saved yet</td></tr>
<tr><td><code>npm</code></td><td>not saved yet</td></tr>
</table>
`);
});

test('a long name may be broken, and a short one not', () => {
  const parts = ['/cache/of/a/long/name', '/and/another/part/of/it'];
  const rows = [
    { mount: { id: '/root/.cache/go-build' }, state: 'restored' },
    { mount: { id: parts.join(',') }, state: 'restored' },
  ];
  const summary = renderSummary({ title: '', facts: [], figures: [], rows, remarks: [] });
  expect(summary).toContain('<code>/root/.cache/go-build</code>');
  expect(summary).toContain(
    '<code>/<wbr>cache/<wbr>of/<wbr>a/<wbr>long/<wbr>name,<wbr>/<wbr>and/<wbr>another/<wbr>part/<wbr>of/<wbr>it</code>',
  );
});

test('a summary without mounts is short', () => {
  expect(
    renderSummary({ title: 'Nothing found', facts: [], figures: [], rows: [], remarks: [] }),
  ).toBe('<h3>Nothing found</h3>\n');
});

test('what a remark names is no link, picture or formula', () => {
  const remarks = ['The cache mount @go, a#1, :tada: and $x$ at http://x:1: all left out.'];
  expect(renderSummary({ title: '', facts: [], figures: [], rows: [], remarks })).toContain(
    '<li>The cache mount <span>@</span>go, a<span>#</span>1, <span>:</span>tada: and <span>$</span>x<span>$</span> at http<span>:</span>//x<span>:</span>1: all left out.</li>',
  );
});

test.each([
  ['<script>alert("x")</script>', '&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;'],
  ['a\n\n# b | c', 'a\\n\\n# b | c'],
  ['a\r\0', 'a\\r\\u0000'],
  ['a & b', 'a &amp; b'],
])('the name %j is text', (id, text) => {
  const rows = [{ mount: { id }, state: 'restored' }];
  const summary = renderSummary({
    title: id,
    facts: [['Key', id]],
    figures: [],
    rows,
    remarks: [id],
  });
  expect(summary).toContain(`<td><code>${text}</code></td>`);
  expect(summary).toContain(`<h3>${text}</h3>`);
  expect(summary.split('\n')).toHaveLength(10);
});
