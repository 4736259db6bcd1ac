/* SPDX-License-Identifier: Apache-2.0 */
#include "storaged/archive/rules.h"

unsigned archive_rules_broken;
