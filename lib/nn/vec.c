#include "nn/vec.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "stream/util.h"

/* This file's functions have the level it is compiled for at the end of their names. */
#define AT_LEVEL(name, level) name##_##level
#define NAME(name, level) AT_LEVEL(name, level)
#define VEC(name) NAME(name, VEC_LEVEL)
#define DECLARE(name) __typeof__(*(name)) VEC(name);
VEC_FUNCTIONS(DECLARE)

/*
 * exp of x <= 0 (softmax) and moderate x > 0, to about 1e-7: 2^n e^r with |r| <= ln 2 / 2, a polynomial for e^r
 * (coefficients as in Moshier's Cephes library). Inlined it costs a third of a call to the vector library.
 */
static inline __attribute__((always_inline)) float exp_fast(float x)
{
	x = x > -87 ? x : -87;
	x = x < 88 ? x : 88;
	float scaled = x * 1.44269504f;
	int32_t n = (int32_t)(scaled + (scaled < 0 ? -.5f : .5f));
	float r = x - (float)n * .693359375f + (float)n * 2.12194440e-4f;
	float y = 1.9875691500e-4f;
	y = y * r + 1.3981999507e-3f;
	y = y * r + 8.3334519073e-3f;
	y = y * r + 4.1665795894e-2f;
	y = y * r + 1.6666665459e-1f;
	y = y * r + 5.0000001201e-1f;
	y = y * r * r + r + 1;
	union {
		int32_t bits;
		float value;
	} power = {.bits = (n + 127) << 23};
	return y * power.value;
}

/*
 * They are off by 4 units in the last place at most (libmvec), and near 0 by more: far less than what leaves a float of
 * 24 bits as it is, but for one number in thousands.
 */
#define NORMAL_ERROR 0x1p-40
#define NORMAL_LEAST 0x1p-6

void VEC(vec_normal)(const double *restrict u, const double *restrict v, double deviation, float *restrict x, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		const double normal = sqrt(-2 * log(1 - u[i])) * cos(TWO_PI * v[i]), value = deviation * normal;
		const float low = (float)(value - value * NORMAL_ERROR), high = (float)(value + value * NORMAL_ERROR);
		x[i] = low == high && fabs(normal) > NORMAL_LEAST ? low : VEC_NORMAL_UNSURE;
	}
}

float VEC(vec_dot)(const float *a, const float *b, int64_t n)
{
	float sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

double VEC(vec_sum_of_squares)(const float *x, int64_t n)
{
	double sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	return sum;
}

void VEC(vec_axpy)(float alpha, const float *restrict x, float *restrict y, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		y[i] += alpha * x[i];
}

void VEC(vec_dot_rows)(const float *restrict x, const float *restrict table, int64_t stride, const int32_t *restrict id,
	int64_t n, int64_t known, int64_t d, float *restrict score)
{
	enum { AHEAD = 16 }; /* rows: as many as the processor waits for at a time, and more */
	int64_t i = 0;
	for (; i + 4 <= n; i += 4) {
		const float *a = table + id[i] * stride, *b = table + id[i + 1] * stride, *c = table + id[i + 2] * stride,
					*e = table + id[i + 3] * stride;
		float of_a = 0, of_b = 0, of_c = 0, of_e = 0;
		for (int64_t j = i + AHEAD; j < i + AHEAD + 4 && j < known; j++)
			prefetch_floats(table + id[j] * stride, d);
		for (int64_t k = 0; k < d; k++) {
			of_a += x[k] * a[k];
			of_b += x[k] * b[k];
			of_c += x[k] * c[k];
			of_e += x[k] * e[k];
		}
		score[i] = of_a;
		score[i + 1] = of_b;
		score[i + 2] = of_c;
		score[i + 3] = of_e;
	}
	for (; i < n; i++) {
		float sum = 0;
		for (int64_t k = 0; k < d; k++)
			sum += x[k] * table[id[i] * stride + k];
		score[i] = sum;
	}
}

void VEC(vec_sum_weighted)(const float *restrict factor, const float *restrict table, int64_t stride,
	const int32_t *restrict id, int64_t n, int64_t d, float *restrict y)
{
	int64_t i = 0;
	for (; i + 4 <= n; i += 4) {
		const float *a = table + id[i] * stride, *b = table + id[i + 1] * stride, *c = table + id[i + 2] * stride,
					*e = table + id[i + 3] * stride;
		for (int64_t k = 0; k < d; k++)
			y[k] += factor[i] * a[k] + factor[i + 1] * b[k] + factor[i + 2] * c[k] + factor[i + 3] * e[k];
	}
	for (; i < n; i++)
		for (int64_t k = 0; k < d; k++)
			y[k] += factor[i] * table[id[i] * stride + k];
}

/* log(1 + e) of e = exp(-|x|) is 2 artanh(e / (2 + e)), whose series ends soon where the argument is at most 1 / 3. */
float VEC(vec_softplus_sum)(float *x, int64_t n)
{
	float sum = 0;
	for (int64_t i = 0; i < n; i++) {
		float e = exp_fast(-fabsf(x[i])), s = e / (2 + e), q = s * s;
		float series = 1 / 13.f;
		series = series * q + 1 / 11.f;
		series = series * q + 1 / 9.f;
		series = series * q + 1 / 7.f;
		series = series * q + 1 / 5.f;
		series = series * q + 1 / 3.f;
		sum += (x[i] > 0 ? x[i] : 0) + 2 * s * (series * q + 1);
		x[i] = (x[i] > 0 ? 1 : e) / (1 + e);
	}
	return sum;
}

void VEC(vec_add_rows)(float *restrict y, int64_t rows, int64_t n, int64_t stride, const float *restrict x)
{
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < n; i++)
			y[r * stride + i] += x[i];
}

void VEC(vec_sum_rows)(const float *restrict y, int64_t rows, int64_t n, int64_t stride, float *restrict x)
{
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < n; i++)
			x[i] += y[r * stride + i];
}

float VEC(vec_exp_sum)(float *x, int64_t n, float *max)
{
	float top = x[0], sum = 0;
	for (int64_t i = 1; i < n; i++)
		top = x[i] > top ? x[i] : top;
	for (int64_t i = 0; i < n; i++) {
		x[i] = exp_fast(x[i] - top);
		sum += x[i];
	}
	*max = top;
	return sum;
}

void VEC(vec_exp_lanes)(float *restrict x, int64_t n, int64_t lanes, float *restrict max, float *restrict sum,
	float *restrict rescale)
{
	for (int64_t r = 0; r < lanes; r++)
		rescale[r] = max[r];
	for (int64_t i = 0; i < n; i++)
		for (int64_t r = 0; r < lanes; r++)
			max[r] = x[i * lanes + r] > max[r] ? x[i * lanes + r] : max[r];
	for (int64_t r = 0; r < lanes; r++) {
		rescale[r] = expf(rescale[r] - max[r]);
		sum[r] *= rescale[r];
	}
	for (int64_t i = 0; i < n; i++)
		for (int64_t r = 0; r < lanes; r++) {
			x[i * lanes + r] = exp_fast(x[i * lanes + r] - max[r]);
			sum[r] += x[i * lanes + r];
		}
}

void VEC(vec_exp_lanes_sum)(const float *restrict x, int64_t n, int64_t lanes, float *restrict max, float *restrict sum)
{
	/* so many columns at a time that what is kept of them is in registers */
	enum { AT_ONCE = 16 };
	for (int64_t from = 0; from < lanes; from += AT_ONCE) {
		float top[AT_ONCE], total[AT_ONCE];
		for (int r = 0; r < AT_ONCE; r++)
			top[r] = max[from + r];
		for (int64_t i = 0; i < n; i++)
			for (int r = 0; r < AT_ONCE; r++)
				top[r] = x[i * lanes + from + r] > top[r] ? x[i * lanes + from + r] : top[r];
		for (int r = 0; r < AT_ONCE; r++)
			total[r] = sum[from + r] * expf(max[from + r] - top[r]);
		for (int64_t i = 0; i < n; i++)
			for (int r = 0; r < AT_ONCE; r++)
				total[r] += exp_fast(x[i * lanes + from + r] - top[r]);
		for (int r = 0; r < AT_ONCE; r++) {
			max[from + r] = top[r];
			sum[from + r] = total[r];
		}
	}
}

void VEC(vec_exp_lanes_of)(float *restrict x, int64_t n, int64_t lanes, const float *restrict max,
	const float *restrict factor)
{
	for (int64_t i = 0; i < n; i++)
		for (int64_t r = 0; r < lanes; r++)
			x[i * lanes + r] = factor[r] * exp_fast(x[i * lanes + r] - max[r]);
}

void VEC(vec_exp_rows)(float *restrict x, int64_t n, int64_t columns, float *restrict max, float *restrict sum,
	float *restrict rescale)
{
	for (int64_t r = 0; r < n; r++) {
		float *row = x + r * columns, top = max[r], total = 0;
		for (int64_t i = 0; i < columns; i++)
			top = row[i] > top ? row[i] : top;
		for (int64_t i = 0; i < columns; i++) {
			row[i] = exp_fast(row[i] - top);
			total += row[i];
		}
		rescale[r] = expf(max[r] - top);
		sum[r] = sum[r] * rescale[r] + total;
		max[r] = top;
	}
}

void VEC(vec_scale_rows)(float *restrict x, int64_t n, int64_t lanes, const float *restrict factor)
{
	for (int64_t i = 0; i < n; i++)
		for (int64_t r = 0; r < lanes; r++)
			x[i * lanes + r] *= factor[r];
}

void VEC(vec_reweigh)(const float *restrict x, float *restrict y, int64_t rows, int64_t n, const float *restrict factor,
	const float *restrict shift, const float *restrict max)
{
	for (int64_t r = 0; r < rows; r++) {
		float weight = factor[r] * expf(shift[r] - max[r]);
		for (int64_t i = 0; i < n; i++)
			y[r * n + i] = weight * x[r * n + i];
	}
}

void VEC(vec_relu)(float *x, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		x[i] = x[i] > 0 ? x[i] : 0;
}

void VEC(vec_relu_backward)(const float *restrict y, float *restrict dy, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		dy[i] = y[i] > 0 ? dy[i] : 0;
}

void VEC(vec_gelu)(const float *restrict x, float *restrict y, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = .5f * x[i] * (1 + erff(.70710678f * x[i]));
}

void VEC(vec_gelu_backward)(const float *restrict x, float *restrict dy, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		float phi = .5f * (1 + erff(.70710678f * x[i]));
		dy[i] *= phi + x[i] * .39894228f * expf(-.5f * x[i] * x[i]);
	}
}

#define GELU_SLOPE .79788456f /* sqrt(2 / pi) */

void VEC(vec_gelu_new)(const float *restrict x, float *restrict y, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = .5f * x[i] * (1 + tanhf(GELU_SLOPE * (x[i] + .044715f * x[i] * x[i] * x[i])));
}

void VEC(vec_gelu_new_backward)(const float *restrict x, float *restrict dy, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		float t = tanhf(GELU_SLOPE * (x[i] + .044715f * x[i] * x[i] * x[i]));
		dy[i] *= .5f * (1 + t) + .5f * x[i] * (1 - t * t) * GELU_SLOPE * (1 + .134145f * x[i] * x[i]);
	}
}

void VEC(vec_swiglu)(const float *restrict gate, const float *restrict up, float *restrict y, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = gate[i] / (1 + exp_fast(-gate[i])) * up[i];
}

void VEC(vec_swiglu_backward)(const float *restrict gate, const float *restrict up, const float *restrict dy,
	float *restrict dgate, float *restrict dup, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		float sigmoid = 1 / (1 + exp_fast(-gate[i])), silu = gate[i] * sigmoid;
		dgate[i] = dy[i] * up[i] * (sigmoid + silu * (1 - sigmoid));
		dup[i] = dy[i] * silu;
	}
}

void VEC(vec_glu)(const float *restrict gate, const float *restrict up, float *restrict y, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		y[i] = up[i] / (1 + exp_fast(-gate[i]));
}

void VEC(vec_glu_backward)(const float *restrict gate, const float *restrict up, const float *restrict dy,
	float *restrict dgate, float *restrict dup, int64_t n)
{
	for (int64_t i = 0; i < n; i++) {
		float sigmoid = 1 / (1 + exp_fast(-gate[i]));
		dgate[i] = dy[i] * up[i] * sigmoid * (1 - sigmoid);
		dup[i] = dy[i] * sigmoid;
	}
}

void VEC(vec_rotate)(float *x, int64_t n, int64_t step, int64_t apart, const float *restrict cosine,
	const float *restrict sine, float direction)
{
	for (int64_t i = 0; i < n; i++) {
		float a = x[i * step], b = x[i * step + apart], turn = direction * sine[i];
		x[i * step] = a * cosine[i] - b * turn;
		x[i * step + apart] = a * turn + b * cosine[i];
	}
}

/* Two rounds of multiply and xor-shift (constants of Wellons' lowbias32) turn key and index into 32 random bits. */
void VEC(vec_dropout)(const float *x, float *y, int64_t n, float p, uint64_t key, uint64_t from)
{
	uint64_t mixed = (key ^ (from >> 32)) * UINT64_C(0xbf58476d1ce4e5b9);
	uint32_t first = (uint32_t)(mixed >> 32), second = (uint32_t)mixed, start = (uint32_t)from;
	uint32_t threshold = (uint32_t)(p * 4294967040.f);
	float scale = 1 / (1 - p);
	for (int64_t i = 0; i < n; i++) {
		uint32_t bits = (start + (uint32_t)i) * UINT32_C(0x9e3779b9) + first;
		bits = (bits ^ (bits >> 16)) * UINT32_C(0x7feb352d) + second;
		bits = (bits ^ (bits >> 15)) * UINT32_C(0x846ca68b);
		bits ^= bits >> 16;
		y[i] = bits >= threshold ? x[i] * scale : 0;
	}
}

void VEC(vec_band_softmax)(float *scores, int64_t rows, int64_t columns, int64_t first, int64_t end, float scale)
{
	for (int64_t r = 0; r < rows; r++) {
		int64_t from = first + r > 0 ? first + r : 0, n = (end + r < columns ? end + r : columns) - from;
		float *all = scores + r * columns, *row = all + from, max = row[0], sum = 0;
		for (int64_t i = 1; i < n; i++)
			max = row[i] > max ? row[i] : max;
		for (int64_t i = 0; i < n; i++) {
			row[i] = exp_fast((row[i] - max) * scale);
			sum += row[i];
		}
		for (int64_t i = 0; i < n; i++)
			row[i] *= 1 / sum;
		for (int64_t i = 0; i < from; i++)
			all[i] = 0;
		for (int64_t i = from + n; i < columns; i++)
			all[i] = 0;
	}
}

void VEC(vec_softcap)(float *x, int64_t n, float scale, float cap)
{
	for (int64_t i = 0; i < n; i++)
		x[i] = cap * tanhf(x[i] * (scale / cap));
}

void VEC(vec_softcap_backward)(const float *restrict x, float *restrict dx, int64_t n, float scale, float cap)
{
	for (int64_t i = 0; i < n; i++) {
		float t = tanhf(x[i] * (scale / cap));
		dx[i] *= scale * (1 - t * t);
	}
}

void VEC(vec_window_softmax)(float *scores, int64_t rows, int64_t columns, int64_t own, int64_t reach, float scale)
{
	for (int64_t r = 0; r < rows; r++) {
		float *row = scores + r * columns, max = row[0], sum;
		int64_t from = own + r - reach > 1 ? own + r - reach : 1;
		int64_t to = own + r + reach + 1 < columns ? own + r + reach + 1 : columns;
		for (int64_t i = from; i < to; i++)
			max = row[i] > max ? row[i] : max;
		row[0] = sum = exp_fast((row[0] - max) * scale);
		for (int64_t i = from; i < to; i++) {
			row[i] = exp_fast((row[i] - max) * scale);
			sum += row[i];
		}
		row[0] *= 1 / sum;
		for (int64_t i = from; i < to; i++)
			row[i] *= 1 / sum;
		for (int64_t i = 1; i < from; i++)
			row[i] = 0;
		for (int64_t i = to; i < columns; i++)
			row[i] = 0;
	}
}

void VEC(vec_softmax_backward)(const float *restrict probability, float *restrict gradient, int64_t rows,
	int64_t columns, float scale)
{
	for (int64_t r = 0; r < rows; r++) {
		const float *p = probability + r * columns;
		float *g = gradient + r * columns, sum = 0;
		for (int64_t i = 0; i < columns; i++)
			sum += p[i] * g[i];
		for (int64_t i = 0; i < columns; i++)
			g[i] = p[i] * (g[i] - sum) * scale;
	}
}

void VEC(vec_norm)(const float *x, const float *update, float *restrict s, float *restrict y, const float *weight,
	const float *bias, float epsilon, int64_t n, float moments[2])
{
	if (update) {
		for (int64_t i = 0; i < n; i++)
			s[i] = x[i] + update[i];
		x = s;
	}
	float mean = 0, variance = 0;
	for (int64_t i = 0; i < n; i++)
		mean += x[i];
	mean /= (float)n;
	for (int64_t i = 0; i < n; i++)
		variance += (x[i] - mean) * (x[i] - mean);
	float inverse = 1 / sqrtf(variance / (float)n + epsilon);
	for (int64_t i = 0; i < n; i++)
		y[i] = weight[i] * (x[i] - mean) * inverse + bias[i];
	moments[0] = mean;
	moments[1] = inverse;
}

void VEC(vec_norm_backward)(const float *restrict s, const float *restrict dy, const float *restrict weight,
	const float *restrict dsum, float *restrict dx, float *restrict dweight, float *restrict dbias, int64_t n,
	const float moments[2])
{
	float mean = moments[0], inverse = moments[1], total = 0, along = 0;
	for (int64_t i = 0; i < n; i++) {
		float u = weight[i] * dy[i];
		total += u;
		along += u * (s[i] - mean);
	}
	total /= (float)n;
	along *= inverse * inverse / (float)n;
	for (int64_t i = 0; i < n; i++)
		dx[i] = (dsum ? dsum[i] : 0) + inverse * (weight[i] * dy[i] - total - (s[i] - mean) * along);
	if (!dweight)
		return;
	for (int64_t i = 0; i < n; i++) {
		dweight[i] += dy[i] * (s[i] - mean) * inverse;
		dbias[i] += dy[i];
	}
}

float VEC(vec_rms_norm)(const float *x, const float *update, float *restrict s, float *restrict y, const float *weight,
	float epsilon, int64_t n)
{
	if (update) {
		for (int64_t i = 0; i < n; i++)
			s[i] = x[i] + update[i];
		x = s;
	}
	float squares = 0;
	for (int64_t i = 0; i < n; i++)
		squares += x[i] * x[i];
	float inverse = 1 / sqrtf(squares / (float)n + epsilon);
	for (int64_t i = 0; i < n; i++)
		y[i] = weight[i] * x[i] * inverse;
	return inverse;
}

void VEC(vec_rms_norm_backward)(const float *restrict s, const float *restrict dy, const float *restrict weight,
	const float *restrict dsum, float *restrict dx, float *restrict dweight, int64_t n, float inverse)
{
	float along = 0;
	for (int64_t i = 0; i < n; i++)
		along += weight[i] * dy[i] * s[i];
	along *= inverse * inverse / (float)n;
	for (int64_t i = 0; i < n; i++)
		dx[i] = (dsum ? dsum[i] : 0) + inverse * (weight[i] * dy[i] - s[i] * along);
	if (!dweight)
		return;
	for (int64_t i = 0; i < n; i++)
		dweight[i] += dy[i] * s[i] * inverse;
}

void VEC(vec_gru)(float *restrict gates, const float *restrict recurrent, const float *restrict previous,
	float *restrict state, int64_t rows, int64_t h)
{
	for (int64_t row = 0; row < rows; row++) {
		float *r = gates + row * 3 * h, *z = r + h, *n = z + h;
		const float *u = recurrent + row * 3 * h;
		for (int64_t i = 0; i < 2 * h; i++)
			r[i] = 1 / (1 + exp_fast(-(r[i] + u[i])));
		for (int64_t i = 0; i < h; i++)
			n[i] = tanhf(n[i] + r[i] * u[2 * h + i]);
		for (int64_t i = 0; i < h; i++)
			state[row * h + i] = n[i] + z[i] * ((previous ? previous[row * h + i] : 0) - n[i]);
	}
}

void VEC(vec_gru_backward)(const float *restrict gates, const float *restrict recurrent, const float *restrict previous,
	float *restrict dstate, float *restrict dinput, float *restrict drecurrent, int64_t rows, int64_t h)
{
	for (int64_t row = 0; row < rows; row++) {
		const float *r = gates + row * 3 * h, *z = r + h, *n = z + h, *a = recurrent + row * 3 * h + 2 * h;
		float *d = dstate + row * h, *in = dinput + row * 3 * h, *re = drecurrent + row * 3 * h;
		for (int64_t i = 0; i < h; i++) {
			float dz = d[i] * ((previous ? previous[row * h + i] : 0) - n[i]) * z[i] * (1 - z[i]);
			float dn = d[i] * (1 - z[i]) * (1 - n[i] * n[i]);
			float dr = dn * a[i] * r[i] * (1 - r[i]);
			in[i] = re[i] = dr;
			in[h + i] = re[h + i] = dz;
			in[2 * h + i] = dn;
			re[2 * h + i] = dn * r[i];
			d[i] *= z[i];
		}
	}
}

#include "nn/vec_adam.h"
