/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store_local_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/errors.h"

#define TRIES 100 /* an object that is replaced so often while it is read is not */

static int take_attrs(struct store_read *req, const struct local_record *r)
{
	size_t bytes = 0;
	for (size_t i = 0; i < r->attr_count; i++)
		bytes += r->attrs[i].len;
	req->attrs = store_read_attrs_new(bytes);
	if (!req->attrs)
		return -ENOMEM;
	for (size_t i = 0; i < r->attr_count; i++)
		store_read_attrs_add(
			req->attrs, r->attrs[i].name, r->attrs[i].value, r->attrs[i].len);
	req->size = r->size;
	return 0;
}

static int make_body(struct store_read *req, const struct local_record *r)
{
	uint64_t left = req->offset < r->size ? r->size - req->offset : 0;
	req->body = buf_new(req->len < left ? req->len : (size_t)left);
	return req->body ? 0 : -ENOMEM;
}

/* What the index knows; for a body in a file the buffer to be filled, too. */
static int look(struct local_batch *b, struct store_read *req, int pool, const char *name,
	struct local_record *ret_record)
{
	struct local_kv_look look;
	int rc = local_kv_look(&b->kv, &look);
	if (rc)
		return rc;
	rc = local_kv_get(&b->kv, look.txn, pool, name, ret_record);
	if (rc && rc != -ENOENT && rc != -ENOMEM)
		rc = -EIO; /* a record that cannot be read is damage */
	if (!rc && req->want_attrs)
		rc = take_attrs(req, ret_record);
	if (!rc && req->want_body)
		rc = make_body(req, ret_record);
	if (!rc && req->want_body && pool == STORE_META)
		rc = local_kv_get_body(&b->kv, look.txn, ret_record->id, req->offset, req->body);
	local_kv_look_end(&look);
	return rc;
}

static int fill(int fd, struct store_read *req)
{
	int rc = 0;
	for (size_t done = 0; !rc && done < req->body->len;) {
		ssize_t n = pread(fd, req->body->data + done, req->body->len - done,
			(off_t)(req->offset + done));
		if (n < 0 && errno != EINTR)
			rc = -errno;
		else if (n == 0)
			req->body->len = done;
		else if (n > 0)
			done += (size_t)n;
	}
	return rc;
}

/* The body, and how much of it there is. A file that is shorter than the index says, or gone, is
 * damage: what is left of it is given, and its own size, as another store would. */
static int look_at_file(
	struct local_batch *b, struct store_read *req, const struct local_place *place)
{
	struct stat st = {0};
	int fd = local_files_open_read(&b->files, place);
	int rc = fd < 0 ? fd : 0;
	if (rc == 0 && req->want_attrs && fstat(fd, &st))
		rc = -errno;
	if (rc == -ENOENT) {
		rc = 0;
		if (req->want_body)
			req->body->len = 0;
	} else if (rc == 0 && req->want_body) {
		rc = fill(fd, req);
	}
	if (rc == 0 && req->want_attrs && (uint64_t)st.st_size < req->size)
		req->size = (uint64_t)st.st_size;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* Whether the body that was read is still the object's: a file may be taken away and made anew
 * under a reader. */
static bool is_current(struct local_batch *b, int pool, const char *name, uint64_t id)
{
	struct local_record r;
	struct local_kv_look look;
	if (local_kv_look(&b->kv, &look))
		return false;
	bool current = local_kv_get(&b->kv, look.txn, pool, name, &r) == 0 && r.id == id;
	local_kv_look_end(&look);
	return current;
}

int local_read(struct local_batch *b, struct store_read *req, int pool, const char *name)
{
	int rc = 0;
	for (int i = 0; i < TRIES; i++) {
		struct local_record r;
		rc = look(b, req, pool, name, &r);
		if (rc || pool == STORE_META || r.size == 0 ||
			(!req->want_attrs && (!req->want_body || req->body->len == 0)))
			break;
		rc = look_at_file(
			b, req, &(struct local_place){pool, name, r.flags & LOCAL_OTHER_FILE});
		if (is_current(b, pool, name, r.id))
			break;
		store_read_release(req);
		rc = -EIO;
	}
	if (rc)
		store_read_release(req);
	return rc;
}

struct pager {
	struct local_kv_visit visit;
	struct local_page *page;
};

static bool turn_page(struct local_kv_visit *visit, int pool, const char *name, uint64_t size)
{
	struct local_page *page = container_of(visit, struct pager, visit)->page;
	(void)pool;
	memcpy(page->entries[page->count].name, name, strlen(name) + 1);
	page->entries[page->count++].size = size;
	return page->count < LOCAL_PAGE;
}

int local_read_names(struct local_batch *b, int pool, const char *prefix, struct local_page *page)
{
	char after[STORE_NAME_MAX + 1] = "";
	if (page->count)
		memcpy(after, page->entries[page->count - 1].name, sizeof(after));
	page->count = 0;
	struct pager pager = {.visit = {.each = turn_page}, .page = page};
	struct local_kv_look look;
	int rc = local_kv_look(&b->kv, &look);
	if (rc)
		return rc;
	rc = local_kv_walk(
		&b->kv, look.txn, &(struct local_kv_range){pool, prefix, after}, &pager.visit);
	local_kv_look_end(&look);
	return rc;
}

int local_read_space(struct local_batch *b, struct store_space *req, int pool)
{
	struct local_space space;
	struct local_kv_look look;
	uint64_t total = 0, available = 0;
	int rc = local_kv_look(&b->kv, &look);
	if (rc)
		return rc;
	rc = local_kv_get_space(&b->kv, look.txn, pool, &space);
	local_kv_look_end(&look);
	const struct local_home *home = &b->homes[b->home_of[pool]];
	if (!rc)
		rc = local_home_space(home, &total, &available);
	if (rc)
		return rc;
	uint64_t room = local_home_room(home);
	req->used_bytes = space.bytes;
	/* what this pool could hold if it had all that is free and that writes may take */
	req->total_bytes = space.bytes + (room < available ? room : available);
	if (b->quota_bytes && b->quota_bytes < req->total_bytes)
		req->total_bytes = b->quota_bytes;
	return 0;
}
