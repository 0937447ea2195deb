/* SPDX-License-Identifier: MIT */
#ifndef RCL_TRACE_TRACEGEN_H
#define RCL_TRACE_TRACEGEN_H

#include <stdint.h>

#include "trace/trace.h"

/*
 * tracegen's file format, shared by its reader and the generator.
 *
 * All numbers little-endian. A header of 4096 bytes { u64 records, u64 anonymous pages, u64 file
 * pages, zeros }, then a u32 for each access, then zeros up to a multiple of 65536 bytes.
 */
#define RCL_TRACEGEN_HEADER 4096u
#define RCL_TRACEGEN_ALIGN  65536u

#define RCL_TRACEGEN_WRITE	 (1u << 31)
#define RCL_TRACEGEN_FILE	 (1u << 30) /* pread() or pwrite() */
#define RCL_TRACEGEN_MMAP	 (1u << 29) /* the mapped file; neither bit: anonymous memory */
#define RCL_TRACEGEN_PAGES_MAX	 (1u << 28)
#define RCL_TRACEGEN_RECORDS_MAX (1ull << 48) /* beyond any disk; keeps sizes within 64 bits */

/* Bytes of a file of so many records, with and without the zeros at its end. */
static inline uint64_t rcl_tracegen_records_end(uint64_t records)
{
	return RCL_TRACEGEN_HEADER + records * 4;
}

static inline uint64_t rcl_tracegen_size(uint64_t records)
{
	uint64_t end = rcl_tracegen_records_end(records);

	return (end + RCL_TRACEGEN_ALIGN - 1) / RCL_TRACEGEN_ALIGN * RCL_TRACEGEN_ALIGN;
}

/* How the three top bits of a record map to the rest of a word. */
struct rcl_tracegen_map {
	struct {
		uint64_t bits;	/* of the word */
		uint64_t pages; /* the mapping's size; 0: no such access can be */
	} kind[8];
	struct rcl_region regions[2];
	uint32_t nr_regions;
};

/* The map of a trace with mappings of these sizes; its regions are those that have pages. */
void rcl_tracegen_map_init(struct rcl_tracegen_map *map, uint64_t anon, uint64_t file);

/*
 * Turn records as they lie in the file (at any alignment) into words: how many were good. Stops at
 * the first that names no page of its mapping.
 */
size_t rcl_tracegen_decode(const struct rcl_tracegen_map *map, const uint8_t *records, size_t nr,
			   uint64_t *words);

#endif
