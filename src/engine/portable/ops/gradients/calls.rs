//! Calls beyond the samples: other parameters, more axes, values that go through several operations.

use super::{Function, check_all};
use crate::engine::portable::ops::sample;

#[test]
fn elements() {
    check_all([
        "y = gelu(x = {2,3}, mode = 'TANH_APPROXIMATION')",
        "y = gelu(x = {2,3}, mode = 'SIGMOID_APPROXIMATION')",
        "y = prelu(x = {2,3,2}, alpha = {3})",
        "y = softplus_parametric(x = {2,3,2}, alpha = {3}+, beta = {3}+)",
        "y = softmax(x = {2,3,2}, axis = 1)",
        "y = softmax(x = {2,3}, axis = 0)",
        "y = pow(x = {2,3}+, y = {3})",
        "y = pow(x = {2,1}+, y = 2.5)",
        "y = pow(x = {4}, y = 2.0)",
        "y = real_div(x = {2,3}, y = {2,1}+)",
        "y = mod(x = {2,3}, y = {3}+)",
        "y = add(x = 1.5, y = {2,2})",
        "y = sub(x = {1,3}, y = {2,1})",
        "y = mul(x = {2,1,2}, y = {3,1})",
        "y = maximum(x = {2,3}, y = {3})",
        "y = minimum(x = {2,1}, y = {1,3})",
        "y = clip(x = {2,4}, alpha = -0.4, beta = 0.7)",
        "y = log(x = {4}+, epsilon = 0.5)",
        "y = rsqrt(x = {4}+, epsilon = 0.5)",
        "y = inverse(x = {4}+, epsilon = 0.5)",
        "y = threshold(x = {4}, alpha = 0.3)",
        "y = cast(x = {4}, dtype = 'fp16')",
        "y = select(cond = [true, false, true], a = {2,3}, b = {3})",
    ]);
}

#[test]
fn reductions() {
    check_all([
        "y = reduce_max(x = {2,3,2}, axes = [1], keep_dims = true)",
        "y = reduce_min(x = {2,3,2}, axes = [0, 2])",
        "y = reduce_mean(x = {2,3,2}, axes = [-1, 0], keep_dims = true)",
        "y = reduce_sum(x = {2,3})",
        "y = reduce_prod(x = {2,5}, axes = [1])",
        "y = reduce_prod(x = {2,2,2})",
        "y = reduce_l1_norm(x = {2,3}, axes = [0])",
        "y = reduce_l2_norm(x = {2,3,2}, axes = [1, 2])",
        "y = reduce_log_sum(x = {2,3}+, axes = [1])",
        "y = reduce_log_sum_exp(x = {2,3,2}, axes = [0, 1])",
        "y = reduce_sum_square(x = {2,3}, axes = [1], keep_dims = true)",
        "y = cumsum(x = {2,4}, axis = 1)",
        "y = cumsum(x = {3,2}, axis = 0, exclusive = true, reverse = true)",
        "y = cumsum(x = {3,2}, axis = -1, reverse = true)",
        "y, i:int32 = topk(x = {2,4}, k = 3, axis = 1)",
        "y, i:int32 = topk(x = {4,2}, k = 2, axis = 0, ascending = true)",
        "i:int32 = argsort(x = {2,4}, axis = 1); y = gather_along_axis(x = {2,4}, indices = i, axis = 1)",
    ]);
}

#[test]
fn reading_and_writing_at_places() {
    check_all([
        "y = gather(x = {2,3,2}, indices = [2, 0, 2], axis = 1, validate_indices = false)",
        "y = gather(x = {3,2}, indices = [1, 0, 1], axis = -1)",
        "y = gather_along_axis(x = {4}, indices = [3, 3, 0], axis = 0)",
        "y = gather_nd(x = {3}, indices = [2])",
        "y = scatter(data = {4,2}, indices = [1, 3], updates = {2,2}, axis = 0, mode = 'update')",
        "y = scatter(data = {4}, indices = [1, 1, 3], updates = {3}, axis = 0, mode = 'add')",
        "y = scatter(data = {4}, indices = [1, 1, 3], updates = {3}, axis = 0, mode = 'sub')",
        "y = scatter(data = {4}, indices = [1, 1, 3], updates = {3}, axis = 0, mode = 'mul')",
        "y = scatter(data = {4}+, indices = [1, 1, 3], updates = {3}+, axis = 0, mode = 'div')",
        "y = scatter(data = {4}, indices = [1, 1, 3], updates = {3}, axis = 0, mode = 'max')",
        "y = scatter(data = {4}, indices = [1, 1, 3], updates = {3}, axis = 0, mode = 'min')",
        "y = scatter_along_axis(data = {3}, indices = [2, 2], updates = {2}, axis = 0, mode = 'add')",
        "y = scatter_along_axis(data = {3}, indices = [2, 0], updates = {2}, axis = 0, mode = 'update')",
        "y = scatter_along_axis(data = {3}, indices = [2, 2], updates = {2}, axis = 0, mode = 'max')",
        "y = scatter_along_axis(data = {3}+, indices = [2, 2], updates = {2}+, axis = 0, mode = 'div')",
        "y = slice_by_index(x = {3,4}, begin = [0, 3], end = [3, 0], stride = [2, -1])",
        "y = slice_by_index(x = {3,4}, begin = [1, 0], end = [0, 0], end_mask = [false, true], squeeze_mask = [true, false])",
        "y = slice_update(x = {3,4}, update = {2,2}, begin = [0, 1], end = [3, 4], stride = [2, 2])",
        "y = slice_by_size(x = {3,4}, begin = [1, 0], size = [2, 3])",
        "y = crop(x = {1,2,4,4}, crop_height = [1, 1], crop_width = [0, 2])",
        "a, b = split(x = {2,5}, split_sizes = [3, 2], axis = 1); y = matmul(x = a, y = a, transpose_y = true)",
        "a, b, c = split(x = {6,1}, num_splits = 3, axis = 0)",
        "y = concat(values = ({2,2}, {2,1}, {2,2}), axis = 1)",
        "y = concat(values = ({1,2}, {1,2}), axis = 1, interleave = true)",
        "y = stack(values = ({2}, {2}, {2}), axis = 1)",
        "y = tile(x = {2,2}, reps = [2, 3])",
        "y = pad(x = {2,3}, pad = [1, 0, 2, 1], mode = 'constant', constant_val = 0.5)",
        "y = pad(x = {1,2,3}, pad = [1, 2], mode = 'reflect')",
        "y = pad(x = {1,2,3}, pad = [1, 2], mode = 'replicate')",
        "y = band_part(x = {3,3}, lower = 0, upper = 1)",
        "y = reverse(x = {2,3}, axes = [0, 1])",
        "y = reverse_sequence(x = {2,3}, lengths = [2, 3], seq_axis = 1, batch_axis = 0)",
        "y = sliding_windows(x = {1,5}, axis = 1, size = 3, stride = 2)",
        "y = transpose(x = {2,3,2}, perm = [2, 0, 1])",
        "y = range_1d(start = 0.5, end = 2.25, step = 0.5)",
    ]);
}

#[test]
fn products() {
    check_all([
        "y = matmul(x = {2,1,2,3}, y = {3,3,2})",
        "y = matmul(x = {3,2}, y = {2,2,3}, transpose_x = true, transpose_y = true)",
        "y = matmul(x = {3}, y = {3,2})",
        "y = matmul(x = {2,3}, y = {3})",
        "y = linear(x = {2,2,3}, weight = {4,3}, bias = {4})",
        "y = linear(x = {3}, weight = {2,3})",
        "y = einsum(values = ({2,3,1,2}, {2,2,1,3}), equation = 'nchw,nwhu->nchu')",
        "y = einsum(values = ({2,3}, {3,2}), equation = 'ij,jk->ki')",
        "y = einsum(values = ({2,3}, {2,3}), equation = 'bi,bj->bij')",
        "y = scaled_dot_product_attention(query = {1,2,2,4}, key = {1,2,3,4}, value = {1,2,3,2}, attn_mask = {2,3})",
        "y = scaled_dot_product_attention(query = {2,2,2}, key = {2,3,2}, value = {2,3,2}, attn_mask = {2,2,3})",
    ]);
}

#[test]
fn windows() {
    check_all([
        "y = conv(x = {1,2,4,3}, weight = {2,2,2,2}, bias = {2}, strides = [2, 1], pad_type = 'custom', pad = [1, 0, 0, 1])",
        "y = conv(x = {1,4,5}, weight = {2,2,2}, groups = 2, dilations = [2], pad_type = 'same_lower')",
        "y = conv(x = {1,1,2,3,2}, weight = {1,1,2,2,1}, pad_type = 'same')",
        "y = conv_transpose(x = {1,2,2,2}, weight = {2,2,2,2}, bias = {2}, strides = [2, 1], dilations = [1, 2])",
        "y = conv_transpose(x = {1,2,3}, weight = {2,1,3}, pad_type = 'same', strides = [2], groups = 2)",
        "y = conv_transpose(x = {1,1,3}, weight = {1,2,2}, pad_type = 'custom', pad = [1, 1], output_shape = [1, 2, 2])",
        "y = avg_pool(x = {1,1,4,4}, kernel_sizes = [3, 2], strides = [2, 2], pad_type = 'same', exclude_padding_from_average = true)",
        "y = avg_pool(x = {1,1,5}, kernel_sizes = [2], strides = [2], pad_type = 'valid', ceil_mode = false)",
        "y = max_pool(x = {1,2,4,3}, kernel_sizes = [2, 2], strides = [1, 1], pad_type = 'same')",
        "y = max_pool(x = {1,1,2,3,2}, kernel_sizes = [2, 2, 1], strides = [1, 1, 1], pad_type = 'valid')",
        "y = l2_pool(x = {1,1,4,4}, kernel_sizes = [2, 2], strides = [2, 2], pad_type = 'valid')",
    ]);
}

#[test]
fn norms() {
    check_all([
        "y = batch_norm(x = {2,3,2}, mean = {3}, variance = {3}+, gamma = {3}, beta = {3})",
        "y = batch_norm(x = {2,3,2,1}, mean = {3}, variance = {3}+)",
        "y = instance_norm(x = {2,2,3}, gamma = {2}, beta = {2}, epsilon = 0.01)",
        "y = instance_norm(x = {1,2,2,2}, epsilon = 0.1)",
        "y = layer_norm(x = {2,3,2}, axes = [1, 2], gamma = {3,2}, beta = {3,2}, epsilon = 0.01)",
        "y = layer_norm(x = {2,3}, axes = [-1], epsilon = 0.001)",
        "y = layer_norm(x = {3,2}, axes = [0], gamma = {3}, beta = {3})",
        "y = l2_norm(x = {2,1,2,2}, epsilon = 0.01)",
        "y = local_response_norm(x = {1,4,2}, size = 2, alpha = 0.5, beta = 0.75, k = 1.5)",
    ]);
}

#[test]
fn recurrent_layers() {
    check_all([
        "y, h, c = lstm(x = {3,2,2}, initial_h = {2,2}, initial_c = {2,2}, weight_ih = {8,2}, weight_hh = {8,2}, bias = {8}, peephole = {6}, output_sequence = true)",
        "y, h, c = lstm(x = {3,1,2}, initial_h = {1,2}, initial_c = {1,2}, weight_ih = {8,2}, weight_hh = {8,2}, bias = {8}, direction = 'reverse')",
        "y, h, c = lstm(x = {2,1,2}, initial_h = {1,2}, initial_c = {1,2}, weight_ih = {4,2}, weight_hh = {4,1}, bias = {4}, weight_ih_back = {4,2}, weight_hh_back = {4,1}, bias_back = {4}, direction = 'bidirectional', output_sequence = true)",
        "y, h = gru(x = {3,2,2}, initial_h = {2,2}, weight_ih = {6,2}, weight_hh = {6,2}, bias = {6}, output_sequence = true)",
        "y, h = gru(x = {3,1,2}, initial_h = {1,2}, weight_ih = {6,2}, weight_hh = {6,2}, direction = 'reverse', input_bias = {6})",
        "y, h = gru(x = {2,1,2}, initial_h = {1,1}, weight_ih = {3,2}, weight_hh = {3,1}, bias = {3}, reset_after = true, activation = 'softsign', recurrent_activation = 'sigmoid')",
        "y, h = rnn(x = {3,2,2}, initial_h = {2,2}, weight_ih = {2,2}, weight_hh = {2,2}, bias = {2}, output_sequence = true, activation = 'sigmoid')",
    ]);
}

#[test]
fn images() {
    check_all([
        "y = resize_bilinear(x = {1,2,3}, target_size_height = 3, target_size_width = 4, sampling_mode = 'DEFAULT')",
        "y = resize_bilinear(x = {1,3,3}, target_size_height = 2, target_size_width = 5, sampling_mode = 'UNALIGN_CORNERS')",
        "y = resize_nearest_neighbor(x = {1,3,2}, target_size_height = 5, target_size_width = 3)",
        "y = upsample_bilinear(x = {1,2,2}, scale_factor_height = 2, scale_factor_width = 3, align_corners = true)",
        "y = upsample_nearest_neighbor(x = {1,2,2}, scale_factor_height = 2, scale_factor_width = 3)",
        "y = crop_resize(x = {2,1,4,4}, boxes = {2,4}+, box_indices = [1, 0], target_height = 2, target_width = 3, normalized_coordinates = true, box_coordinate_mode = 'CORNERS_WIDTH_FIRST', sampling_mode = 'OFFSET_CORNERS')",
        "y = crop_resize(x = {1,1,4,4}, boxes = {1,4}+, box_indices = [0], target_height = 3, target_width = 2, normalized_coordinates = false, box_coordinate_mode = 'CENTER_SIZE_HEIGHT_FIRST', sampling_mode = 'ALIGN_CORNERS', spatial_scale = 1.5)",
        "y = resample(x = {1,2,3,3}, coordinates = {1,2,2,2}, sampling_mode = 'bilinear', padding_mode = 'border', padding_value = 0.0, coordinates_mode = 'normalized_minus_one_to_one', align_corners = false)",
        "y = resample(x = {1,1,3,3}, coordinates = {1,2,2,2}+, sampling_mode = 'bilinear', padding_mode = 'symmetric', padding_value = 0.0, coordinates_mode = 'unnormalized', align_corners = true)",
        "y = resample(x = {1,1,3,3}, coordinates = {1,1,3,2}, sampling_mode = 'bilinear', padding_mode = 'constant', padding_value = 2.0, coordinates_mode = 'normalized_minus_one_to_one', align_corners = true)",
        "y = affine(x = {1,1,3,3}, transform_matrix = {1,6}, output_height = 2, output_width = 2, sampling_mode = 'bilinear', padding_mode = 'constant', padding_value = 0.0, coordinates_mode = 'normalized_minus_one_to_one', align_corners = true)",
        "y = depth_to_space(x = {1,4,1,2}, block_size = 2)",
        "y = space_to_depth(x = {1,1,2,4}, block_size = 2)",
        "y = pixel_shuffle(x = {1,4,1,2}, upscale_factor = 2)",
        "y = pixel_unshuffle(x = {1,1,2,4}, downscale_factor = 2)",
    ]);
}

#[test]
fn parts_of_compressed_weights() {
    check_all([
        "y = constexpr_blockwise_shift_scale(data = {4,4}, scale = {2,4}+, offset = {2,4})",
        "t = constexpr_blockwise_shift_scale(data = {1,1,256,1}, scale = {1,1,1,1}+); y = square(x = t)",
    ]);
}

#[test]
fn lists_and_states() {
    check_all([
        "l = make_list(init_length = 1, elem_shape = [2]); m = list_write(ls = l, index = 0, value = {2}); n = list_write(ls = m, index = 2, value = {2}); k = list_scatter(ls = n, indices = [0], value = {1,2}); y = list_gather(ls = k, indices = [0, 2, 2])",
        "l = make_list(init_length = 1, elem_shape = [2]); m = list_write(ls = l, index = 0, value = {2}); a = list_read(ls = m, index = 0); b = square(x = a); n = list_write(ls = m, index = 0, value = b); y = list_read(ls = n, index = 0)",
    ]);
}

/// Values from outside of the blocks, both branches, several turns, writes between reads.
#[test]
fn control_flow_and_states() {
    let branch = |pred: &str| {
        format!(
            "tensor<fp32, [2]> a = square(x = tensor<fp32, [2]>([0.5, -1.5]));\n\
            tensor<fp32, [2]> y = cond(pred = {pred}) () {{ tensor<fp32, [2]> b = mul(x = a, y = tensor<fp32, [2]>([3.0, -2.0])); }} -> (b) () {{ tensor<fp32, [2]> c = sin(x = a); tensor<fp32, [2]> d = add(x = c, y = tensor<fp32, [1]>([0.5])); }} -> (d);"
        )
    };
    let turns = "tensor<fp32, [2]> w = exp(x = tensor<fp32, [2]>([0.5, -1.5]));\n\
        tensor<fp32, [2]> y, tensor<int32, [1]> n = while_loop(loop_vars = (tensor<fp32, [2]>([1.5, -0.25]), tensor<int32, [1]>([0]))) (tensor<fp32, [2]> a, tensor<int32, [1]> i) { bool c = less(x = i, y = int32(3)); } -> (c) (tensor<fp32, [2]> a2, tensor<int32, [1]> i2) { tensor<fp32, [2]> s = mul(x = a2, y = w); tensor<fp32, [2]> t = tanh(x = s); tensor<int32, [1]> j = add(x = i2, y = int32(1)); } -> (t, j);";
    let states = "write_state(data = tensor<fp32, [2]>([1.5, -0.25]), input = cache);\n\
        tensor<fp32, [2]> a = read_state(input = cache);\n\
        tensor<fp32, [2]> b = mul(x = a, y = tensor<fp32, [2]>([0.5, 2.0]));\n\
        tensor<fp32, [2]> c = slice_update(x = b, update = tensor<fp32, [1]>([3.0]), begin = tensor<int32, [1]>([1]), end = tensor<int32, [1]>([2]));\n\
        write_state(data = c, input = cache);\n\
        tensor<fp32, [2]> d = read_state(input = cache);\n\
        tensor<fp32, [2]> y = square(x = d);";
    for call in [
        branch("bool(true)"),
        branch("bool(false)"),
        turns.into(),
        states.into(),
    ] {
        let function = Function::new(&sample(call.leak(), &[]), false).unwrap();
        function.agrees().unwrap();
        let gradients = function.gradients(&|_| 1.0).unwrap();
        assert!(
            gradients.concat().iter().any(|g| *g != 0.0),
            "{gradients:?}"
        );
    }
}
