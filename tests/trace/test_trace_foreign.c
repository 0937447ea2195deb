/* SPDX-License-Identifier: MIT */
/*
 * Traces from elsewhere, which are not part of the project. RECLAIM_FOREIGN_TRACES names their
 * folder; without it, or without a file in it, the tests that need it are skipped.
 */
#include "trace_test.h"

static struct rcl_trace_image *load(const char *name, const char *format)
{
	const char *dir = getenv("RECLAIM_FOREIGN_TRACES");
	struct rcl_trace_image *image;
	struct rcl_error err;
	char path[4096];

	if (!dir)
		skip();
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (access(path, R_OK))
		skip();
	if (rcl_trace_load(path, format, &image, &err))
		fail_msg("%s", err.text);
	return image;
}

static void expect(const char *name, const char *format, const char *compression, uint64_t accesses,
		   uint64_t footprint)
{
	struct rcl_trace_image *image = load(name, NULL);

	assert_string_equal(image->format, format);
	assert_string_equal(image->compression, compression);
	assert_int_equal(image->summary.accesses, accesses);
	assert_int_equal(image->summary.footprint_pages, footprint);
	rcl_trace_image_free(image);
}

static void address_gzip(void **state)
{
	(void)state;
	expect("address_gzip.trace.gz", "address", "gzip", 481044, 39856);
}

static void address_mcf(void **state)
{
	(void)state;
	expect("address_mcf.trace.gz", "address", "gzip", 727230, 1442);
}

static void lirs(void **state)
{
	(void)state;
	expect("lirs_loop.trace.gz", "blocks", "gzip", 505500, 1011);
	expect("lirs_multi3.trace.gz", "blocks", "gzip", 30241, 7454);
	expect("lirs_sprite.trace.gz", "blocks", "gzip", 133996, 7075);
}

/* The same requests in three formats: places and directions agree. */
static void cloud_physics(void **state)
{
	struct rcl_trace_image *vscsi = load("cloudPhysicsIO.vscsi", NULL);
	struct rcl_trace_image *oracle =
		load("cloudPhysicsIO.oracleGeneral.bin", "oracleGeneral:unit=512");
	struct rcl_trace_image *csv = load("cloudPhysicsIO.head.csv", NULL);

	(void)state;
	assert_string_equal(vscsi->format, "vscsi");
	assert_string_equal(csv->format, "csv");
	assert_int_equal(vscsi->count, 113872);
	assert_int_equal(oracle->count, 113872);
	assert_int_equal(csv->count, 19999);
	for (uint64_t i = 0; i < vscsi->count; i++) {
		struct rcl_access a = rcl_trace_image_get(vscsi, i);
		struct rcl_access b = rcl_trace_image_get(oracle, i);

		/* The converted trace keeps one size an object, so only places are comparable. */
		assert_int_equal(a.page, b.page);
	}
	for (uint64_t i = 0; i < csv->count; i++)
		assert_int_equal(vscsi->words[i], csv->words[i]);
	rcl_trace_image_free(vscsi);
	rcl_trace_image_free(oracle);
	rcl_trace_image_free(csv);
}

static void oracle_objects(void **state)
{
	struct rcl_trace_image *image = load("cloudPhysicsIO.oracleGeneral.bin", NULL);

	(void)state;
	assert_string_equal(image->format, "oracleGeneral");
	assert_int_equal(image->count, 113872);
	rcl_trace_image_free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_gzip),	  cmocka_unit_test(address_mcf),
		cmocka_unit_test(lirs),		  cmocka_unit_test(cloud_physics),
		cmocka_unit_test(oracle_objects),
	};

	if (!getenv("RECLAIM_FOREIGN_TRACES"))
		return 77; /* ctest: skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
