/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store_local_record.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/errors.h"

size_t local_record_encode(const struct local_record *r, uint8_t *to)
{
	struct bytes b = bytes_writer(to, LOCAL_RECORD_MAX);
	bytes_put_u8(&b, LOCAL_RECORD_LEVEL);
	bytes_put_u8(&b, r->flags);
	bytes_put_u64(&b, r->id);
	bytes_put_u64(&b, r->size);
	bytes_put_u8(&b, (uint8_t)r->attr_count);
	for (size_t i = 0; i < r->attr_count; i++) {
		bytes_put_string8(&b, r->attrs[i].name);
		bytes_put_u16(&b, (uint16_t)r->attrs[i].len);
		bytes_put(&b, r->attrs[i].value, r->attrs[i].len);
	}
	CHECK(!b.error);
	return b.at;
}

int local_record_decode(const void *data, size_t len, struct local_record *ret_record)
{
	struct local_record r = {0};
	struct bytes b = bytes_reader(data, len);
	uint8_t level = bytes_get_u8(&b);
	if (!b.error && level != LOCAL_RECORD_LEVEL)
		return ERR_VERSION;
	r.flags = bytes_get_u8(&b);
	r.id = bytes_get_u64(&b);
	r.size = bytes_get_u64(&b);
	r.attr_count = bytes_get_u8(&b);
	if (r.attr_count > STORE_ATTRS_MAX || r.size > STORE_OBJECT_MAX)
		bytes_fail(&b, ERR_FORMAT);
	for (size_t i = 0; !b.error && i < r.attr_count; i++) {
		bytes_get_string8(&b, r.attrs[i].name, sizeof(r.attrs[i].name));
		r.attrs[i].len = bytes_get_u16(&b);
		if (r.attrs[i].len > STORE_ATTR_VALUE_MAX)
			bytes_fail(&b, ERR_FORMAT);
		r.attrs[i].value = bytes_get_view(&b, r.attrs[i].len);
	}
	if (bytes_left(&b))
		bytes_fail(&b, ERR_FORMAT);
	if (b.error)
		return b.error;
	*ret_record = r;
	return 0;
}

const struct store_read_attr *local_record_attr(const struct local_record *r, const char *name)
{
	for (size_t i = 0; i < r->attr_count; i++)
		if (strcmp(r->attrs[i].name, name) == 0)
			return &r->attrs[i];
	return NULL;
}

static void set_attr(struct local_record *r, const struct store_attr *attr)
{
	size_t i = 0;
	while (i < r->attr_count && strcmp(r->attrs[i].name, attr->name) != 0)
		i++;
	if (!attr->len) {
		/* no attribute and the empty one are the same */
		if (i < r->attr_count)
			r->attrs[i] = r->attrs[--r->attr_count];
		return;
	}
	if (i == r->attr_count)
		r->attr_count++;
	(void)snprintf(r->attrs[i].name, sizeof(r->attrs[i].name), "%s",
		attr->name); /* limited by store.c */
	r->attrs[i].value = attr->value;
	r->attrs[i].len = attr->len;
}

int local_record_set_attrs(struct local_record *r, const struct store_attr *attrs, size_t count)
{
	CHECK(r->attr_count <= STORE_ATTRS_MAX && count <= STORE_ATTRS_MAX);
	for (size_t i = 0; i < count; i++)
		set_attr(r, &attrs[i]);
	return r->attr_count <= STORE_ATTRS_MAX ? 0 : -EINVAL;
}
