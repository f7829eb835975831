/*
 * Products with a frozen matrix in integers: half again as fast as in floats with AVX2, twice as fast with AVX-512
 * VNNI. The way forward has 16 bits, for an error of a few hundred-thousandths of the product's size: a deep model
 * multiplies what it errs by. Gradients, which only point the way back, have 8, for an error of 1 to 2 %.
 *
 * Numbers have a scale for so many of them along the dimension that is summed over. In 16 bits, the left side's lie
 * between -8191 and 8191, the matrix's between -4095 and 4095: a group's sum has 32 bits. In 8, the left side's lie
 * between -63 and 63, the matrix's from their smallest to their largest between 0 and 127: two pairs' sum has 16 bits,
 * as AVX2 wants it. Sums of a group are exact, and are added up as floats in one order: every processor gets the same
 * bytes.
 */
#ifndef RECPIPE_INTEGER_H
#define RECPIPE_INTEGER_H

#include <stdbool.h>
#include <stdint.h>

#define INTEGER_GROUP 64 /* numbers with a scale */

struct integer_matrix;

/* Of a row-major matrix; numbers that are not finite make products NaN. In parallel. */
struct integer_matrix *integer_new(const float *matrix, int64_t rows, int64_t columns);
/* Takes NULL. */
void integer_free(struct integer_matrix *matrix);
int64_t integer_rows(const struct integer_matrix *matrix);

/* Floats of scratch memory for a product of n rows. */
int64_t integer_scratch(const struct integer_matrix *matrix, int64_t n);
/*
 * y (+)= x times the matrix's rows [first, first + count), in 8 bits, or these transposed (a linear layer's way
 * forward), in 16; first is a multiple of INTEGER_GROUP. x and y have n rows, stride_x and stride_y floats apart.
 * Serial.
 */
void integer_product(const struct integer_matrix *matrix, int64_t first, int64_t count, bool transposed, int64_t n,
	const float *x, int64_t stride_x, float *y, int64_t stride_y, bool add, float *scratch);

#endif
