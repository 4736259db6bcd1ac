/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/store/store_local_dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

void local_dirs_fini(struct local_dirs *dirs)
{
	free(dirs->pending);
	free(dirs->known);
	*dirs = (struct local_dirs){0};
}

int local_dirs_make(int root, const char *path)
{
	char dir[LOCAL_PATH_MAX];
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		(void)snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path),
			path); /* paths are limited */
		if (mkdirat(root, dir, 0750) && errno != EEXIST)
			return -errno;
	}
	return 0;
}

static uint64_t hash_of(int root, const char *path)
{
	uint64_t h = hash64((uint64_t)root, path, strlen(path));
	return h ? h : 1;
}

/* The place of `hash` in the set, or the free one where it belongs. */
static uint64_t *known_slot(const struct local_dirs *dirs, uint64_t hash)
{
	size_t i = hash % LOCAL_DIRS_KNOWN;
	while (dirs->known[i] && dirs->known[i] != hash)
		i = (i + 1) % LOCAL_DIRS_KNOWN;
	return &dirs->known[i];
}

static bool is_known(const struct local_dirs *dirs, int root, const char *path)
{
	/* the root was synced when the store was made */
	return strcmp(path, ".") == 0 || (dirs->known && *known_slot(dirs, hash_of(root, path)));
}

static void learn(struct local_dirs *dirs, int root, const char *path)
{
	if (dirs->known_count >= LOCAL_DIRS_KNOWN / 4 * 3) {
		memset(dirs->known, 0, LOCAL_DIRS_KNOWN * sizeof(*dirs->known));
		dirs->known_count = 0;
	}
	uint64_t hash = hash_of(root, path), *slot = known_slot(dirs, hash);
	dirs->known_count += *slot == 0;
	*slot = hash;
}

static int pend(struct local_dirs *dirs, int root, const char *path)
{
	for (size_t i = 0; i < dirs->pending_count; i++)
		if (dirs->pending[i].root == root && strcmp(dirs->pending[i].path, path) == 0) {
			dirs->pending[i].synced = false; /* of what was there before */
			return 0;
		}
	if (dirs->pending_count == dirs->pending_size) {
		size_t size = dirs->pending_size ? 2 * dirs->pending_size : 16;
		struct local_dir *pending = realloc(dirs->pending, size * sizeof(*pending));
		if (!pending)
			return -ENOMEM;
		dirs->pending = pending;
		dirs->pending_size = size;
	}
	struct local_dir *dir = &dirs->pending[dirs->pending_count++];
	dir->root = root;
	dir->synced = false;
	(void)snprintf(dir->path, sizeof(dir->path), "%s", path);
	return 0;
}

/* Cuts the last component off; "." when none is left. */
static void to_parent(char path[LOCAL_PATH_MAX])
{
	char *slash = strrchr(path, '/');
	if (slash)
		*slash = 0;
	else
		strcpy(path, ".");
}

int local_dirs_note(struct local_dirs *dirs, int root, const char *path)
{
	char dir[LOCAL_PATH_MAX];
	if (!dirs->known) {
		dirs->known = calloc(LOCAL_DIRS_KNOWN, sizeof(*dirs->known));
		if (!dirs->known)
			return -ENOMEM;
	}
	(void)snprintf(dir, sizeof(dir), "%s", path);
	do {
		to_parent(dir);
		int rc = pend(dirs, root, dir);
		if (rc)
			return rc;
	} while (!is_known(dirs, root, dir));
	return 0;
}

size_t local_dirs_count(const struct local_dirs *dirs, int root)
{
	size_t count = 0;
	for (size_t i = 0; i < dirs->pending_count; i++)
		count += dirs->pending[i].root == root;
	return count;
}

void local_dirs_synced(struct local_dirs *dirs, int root)
{
	for (size_t i = 0; i < dirs->pending_count; i++)
		if (dirs->pending[i].root == root)
			dirs->pending[i].synced = true;
}

/* -ENOENT: no directory, no names in it. */
static int sync_dir(const struct local_dir *dir)
{
	if (dir->synced)
		return faccessat(dir->root, dir->path, F_OK, 0) ? -errno : 0;
	int fd = openat(dir->root, dir->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int rc = fsync(fd) ? -errno : 0;
	close(fd);
	return rc;
}

int local_dirs_sync(struct local_dirs *dirs)
{
	for (size_t i = 0; i < dirs->pending_count;) {
		int rc = sync_dir(&dirs->pending[i]);
		if (!rc)
			i++;
		else if (rc == -ENOENT)
			dirs->pending[i] = dirs->pending[--dirs->pending_count];
		else
			return rc;
	}
	/* a directory's own name lasts when its parent was synced, and note() saw to that */
	for (size_t i = 0; i < dirs->pending_count; i++)
		if (!is_known(dirs, dirs->pending[i].root, dirs->pending[i].path))
			learn(dirs, dirs->pending[i].root, dirs->pending[i].path);
	dirs->pending_count = 0;
	return 0;
}
