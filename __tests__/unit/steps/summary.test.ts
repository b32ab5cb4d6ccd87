import { expect, test } from '@jest/globals';
import { renderSummary } from '../../../src/steps/summary.js';

const archive = { files: 1234, bytes: 5_000_000, compressedBytes: 1_200_000 };

test('a summary has a title, facts, a table with totals, and remarks', () => {
  expect(
    renderSummary({
      title: 'Saved 2 cache mounts',
      facts: [['Key', 'k-1']],
      rows: [
        { mount: { id: 'go' }, state: 'packed', archive, seconds: 1.26 },
        { mount: { id: 'npm', namespace: 'n' }, state: 'packed', archive, seconds: 0.5 },
        { mount: { id: 'old' }, state: 'absent' },
      ],
      remarks: ['old is absent.'],
    }),
  ).toBe(`<h3>Saved 2 cache mounts</h3>
<p>Key: <code>k-1</code></p>
<table>
<tr><th>Cache mount</th><th>State</th><th align="right" nowrap>Files</th><th align="right" nowrap>Size</th><th align="right" nowrap>Compressed</th><th align="right" nowrap>Time</th></tr>
<tr><td><code>go</code></td><td>packed</td><td align="right" nowrap>1,234</td><td align="right" nowrap>5.0 MB</td><td align="right" nowrap>1.2 MB</td><td align="right" nowrap>1.3 s</td></tr>
<tr><td><code>npm (namespace=n)</code></td><td>packed</td><td align="right" nowrap>1,234</td><td align="right" nowrap>5.0 MB</td><td align="right" nowrap>1.2 MB</td><td align="right" nowrap>0.5 s</td></tr>
<tr><td><code>old</code></td><td>absent</td><td align="right" nowrap></td><td align="right" nowrap></td><td align="right" nowrap></td><td align="right" nowrap></td></tr>
<tr><td><strong>Total</strong></td><td>2 mounts</td><td align="right" nowrap>2,468</td><td align="right" nowrap>10.0 MB</td><td align="right" nowrap>2.4 MB</td><td align="right" nowrap>1.8 s</td></tr>
</table>
<ul>
<li>old is absent.</li>
</ul>
`);
});

test('a summary without mounts is short', () => {
  expect(renderSummary({ title: 'Nothing found', facts: [], rows: [], remarks: [] })).toBe(
    '<h3>Nothing found</h3>\n',
  );
});

test('what a remark names is no link, picture or formula', () => {
  const remarks = ['The cache mount @go, a#1, :tada: and $x$ at http://x:1: all left out.'];
  expect(renderSummary({ title: '', facts: [], rows: [], remarks })).toContain(
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
  const summary = renderSummary({ title: id, facts: [['Key', id]], rows, remarks: [id] });
  expect(summary).toContain(`<td><code>${text}</code></td>`);
  expect(summary).toContain(`<h3>${text}</h3>`);
  expect(summary.split('\n')).toHaveLength(10);
});
