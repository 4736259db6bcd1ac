/* SPDX-License-Identifier: Apache-2.0 */
/* A node's score for a camera: weighted rendezvous hashing (Thaler and Ravishankar 1998; weights by
 * the logarithmic method of Schindelhauer and Schomaker 2005) in integers. With h uniform, -log2(h
 * / 2^64) / weight is exponentially distributed with rate weight, so the least of all nodes'
 * belongs to each with the probability of its weight's share. Private to placement. */
#pragma once

#include <stdint.h>

/* Mixes a camera's key with a node's seed to 64 even bits: two rounds of multiply and fold. */
static inline uint64_t score_hash(uint64_t camera, uint64_t node_seed)
{
	uint64_t x = camera ^ node_seed;
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

/* -log2(h / 2^64) with 40 fractional bits; falls as h rises. */
uint64_t score_distance(uint64_t h);

/* Whether (hash a, weight a) is a better choice than b. A total order but for equal hashes with
 * equal weights. */
static inline int score_better(
	uint64_t hash_a, uint32_t weight_a, uint64_t hash_b, uint32_t weight_b)
{
	if (weight_a == weight_b)
		return hash_a > hash_b;
	/* distances have at most 46 bits and weights 20: the products do not fit 64 */
	__extension__ unsigned __int128 a = (unsigned __int128)score_distance(hash_a) * weight_b;
	__extension__ unsigned __int128 b = (unsigned __int128)score_distance(hash_b) * weight_a;
	return a != b ? a < b : hash_a > hash_b;
}
