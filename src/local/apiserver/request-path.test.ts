import { deepEqual, equal } from 'node:assert/strict';
import { test } from 'node:test';
import { parseResourcePath } from './request-path.ts';

test('a core collection in a namespace', () => {
  deepEqual(parseResourcePath('/api/v1/namespaces/shop/pods'), {
    group: '',
    version: 'v1',
    plural: 'pods',
    namespace: 'shop',
    name: undefined,
    subresource: '',
  });
});

test('a subresource of an object of a group', () => {
  deepEqual(parseResourcePath('/apis/apps/v1/namespaces/shop/deployments/web/scale'), {
    group: 'apps',
    version: 'v1',
    plural: 'deployments',
    namespace: 'shop',
    name: 'web',
    subresource: 'scale',
  });
});

test('a namespace and its subresources address the Namespace, not something in it', () => {
  for (const tail of ['', '/status', '/finalize']) {
    const path = parseResourcePath(`/api/v1/namespaces/shop${tail}`);
    equal(path?.plural, 'namespaces');
    equal(path?.name, 'shop');
    equal(path?.namespace, undefined);
    equal(path?.subresource, tail.slice(1));
  }
});

test('what is no resource gives undefined', () => {
  for (const path of [
    '/',
    '/api',
    '/api/v1',
    '/apis',
    '/apis/apps/v1',
    '/healthz',
    '/api/v1/pods/a/b/c',
    '/api/v1//pods',
  ]) {
    equal(parseResourcePath(path), undefined, path);
  }
});
