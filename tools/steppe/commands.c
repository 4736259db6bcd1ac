/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/steppe/command.h"

#include <stddef.h>

extern const struct command command_record, command_follow, command_timeline, command_snapshot,
	command_export, command_verify, command_fetch, command_camera_add, command_camera_list,
	command_camera_show, command_camera_remove, command_policy_set, command_policy_remove,
	command_policy_list, command_policy_assign, command_policy_unassign, command_policy_explain,
	command_status, command_fsck, command_plan, command_pki_init, command_pki_issue,
	command_pki_renew, command_pki_revoke, command_pki_list, command_bench_ingest,
	command_bench_fetch, command_version, command_help;

const struct command *const commands[] = {
	&command_record,
	&command_timeline,
	&command_export,
	&command_verify,
	&command_snapshot,
	&command_follow,
	&command_fetch,
	&command_camera_add,
	&command_camera_list,
	&command_camera_show,
	&command_camera_remove,
	&command_policy_set,
	&command_policy_list,
	&command_policy_assign,
	&command_policy_unassign,
	&command_policy_remove,
	&command_policy_explain,
	&command_status,
	&command_fsck,
	&command_plan,
	&command_pki_init,
	&command_pki_issue,
	&command_pki_renew,
	&command_pki_revoke,
	&command_pki_list,
	&command_bench_ingest,
	&command_bench_fetch,
	&command_version,
	&command_help,
	NULL,
};
