//! Networks of the size of those that people run, for tests. Their weights are computed in the graph from a few numbers,
//! each different from its neighbours: the files stay small, the sessions are as large as the real ones.

use super::build::{FLOAT, INT64, model, node, value};
use tract_onnx::pb::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, attribute_proto::AttributeType};

/// A network being built. Nothing says what shapes its tensors have but its input.
pub struct Net {
    graph: GraphProto,
    count: usize,
}

impl Net {
    pub fn new(input: &str, shape: &str) -> Self {
        let input = vec![value(input, FLOAT, shape)];
        Self { graph: GraphProto { name: "net".to_owned(), input, ..GraphProto::default() }, count: 0 }
    }

    fn input(&mut self, name: &str, shape: &str) {
        self.graph.input.push(value(name, FLOAT, shape));
    }

    /// One more output than that of [`finish`](Self::finish).
    fn output(&mut self, from: &str, name: &str) {
        self.add("Identity", &[from], name, Vec::new());
        self.graph.output.push(value(name, FLOAT, "*"));
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.graph.node.len()
    }

    /// The model, of which the tensor is the output.
    pub fn finish(mut self, output: &str, name: &str) -> ModelProto {
        self.output(output, name);
        model(self.graph)
    }

    fn add(&mut self, op_type: &str, inputs: &[&str], output: &str, attribute: Vec<AttributeProto>) {
        let input = inputs.iter().map(|name| (*name).to_owned()).collect();
        let named = NodeProto { name: format!("{op_type}_{}", self.count), input, attribute, ..node("", op_type) };
        self.graph.node.push(NodeProto { output: vec![output.to_owned()], ..named });
        self.count += 1;
    }

    pub fn op(&mut self, op_type: &str, inputs: &[&str], attributes: Vec<AttributeProto>) -> String {
        let output = format!("t{}", self.count);
        self.add(op_type, inputs, &output, attributes);
        output
    }

    /// An initializer of so many numbers around a mean, in a shape that has one dimension of that size.
    fn numbers(&mut self, shape: &[i64], mean: f32, spread: f32) -> String {
        let name = format!("w{}", self.count);
        let many = shape.iter().product::<i64>();
        // Weyl's sequence: evenly spread, and never the same twice.
        let number =
            |i: i64| mean + spread * (((i as f64 + 1.0 + self.count as f64) * 0.618_033_988_75).fract() as f32 - 0.5);
        let float_data = (0..many).map(number).collect();
        let tensor = TensorProto {
            name: name.clone(),
            dims: shape.to_vec(),
            data_type: FLOAT,
            float_data,
            ..TensorProto::default()
        };
        self.graph.initializer.push(tensor);
        self.count += 1;
        name
    }

    fn dims(&mut self, dims: &[i64]) -> String {
        let name = format!("w{}", self.count);
        let (dim, numbers) = (vec![dims.len() as i64], dims.to_vec());
        let tensor = TensorProto {
            name: name.clone(),
            dims: dim,
            data_type: INT64,
            int64_data: numbers,
            ..TensorProto::default()
        };
        self.graph.initializer.push(tensor);
        self.count += 1;
        name
    }

    /// Its weights are products of a number for each row and one for each column.
    fn linear(&mut self, x: &str, from: i64, to: i64) -> String {
        let rows = self.numbers(&[from, 1], 0.0, 2.0);
        let columns = self.numbers(&[1, to], 0.0, 4.0 / (from as f32).sqrt());
        let weight = self.op("Mul", &[&rows, &columns], Vec::new());
        let bias = self.numbers(&[to], 0.0, 0.1);
        let y = self.op("MatMul", &[x, &weight], Vec::new());
        self.op("Add", &[&y, &bias], Vec::new())
    }

    fn layer_norm(&mut self, x: &str, width: i64) -> String {
        let (scale, bias) = (self.numbers(&[width], 1.0, 0.1), self.numbers(&[width], 0.0, 0.1));
        self.op("LayerNormalization", &[x, &scale, &bias], Vec::new())
    }

    /// A convolution with its batch normalization. Its weights are products of a number for each output, and one for each
    /// place of the kernel.
    pub fn conv_bn(&mut self, x: &str, from: i64, to: i64, kernel: i64, stride: i64) -> String {
        let scale = (3.0 / (from * kernel * kernel) as f32).sqrt() * 4.0;
        let per_output = self.numbers(&[to, 1, 1, 1], 0.0, 2.0);
        let per_place = self.numbers(&[1, from, kernel, kernel], 0.0, scale);
        let weight = self.op("Mul", &[&per_output, &per_place], Vec::new());
        let pad = kernel / 2;
        let attributes = vec![
            ints("kernel_shape", &[kernel, kernel]),
            ints("strides", &[stride, stride]),
            ints("pads", &[pad, pad, pad, pad]),
        ];
        let y = self.op("Conv", &[x, &weight], attributes);
        self.bn(&y, to)
    }

    pub fn bn(&mut self, x: &str, channels: i64) -> String {
        let numbers = [(1.0, 0.2), (0.0, 0.2), (0.0, 0.1), (1.0, 0.2)];
        let parts = numbers.map(|(mean, spread)| self.numbers(&[channels], mean, spread));
        self.op("BatchNormalization", &[x, &parts[0], &parts[1], &parts[2], &parts[3]], Vec::new())
    }

    pub fn relu(&mut self, x: &str) -> String {
        self.op("Relu", &[x], Vec::new())
    }

    pub fn pool(&mut self, op_type: &str, x: &str, kernel: i64, stride: i64, pad: i64) -> String {
        let attributes = vec![
            ints("kernel_shape", &[kernel, kernel]),
            ints("strides", &[stride, stride]),
            ints("pads", &[pad, pad, pad, pad]),
        ];
        self.op(op_type, &[x], attributes)
    }

    /// Global pooling and a thousand classes.
    pub fn classify(&mut self, x: &str, channels: i64) -> String {
        let pooled = self.op("GlobalAveragePool", &[x], Vec::new());
        let flat = self.op("Flatten", &[&pooled], Vec::new());
        let rows = self.numbers(&[channels, 1], 0.0, 0.2);
        let columns = self.numbers(&[1, 1000], 0.0, 1.0);
        let weight = self.op("Mul", &[&rows, &columns], Vec::new());
        let bias = self.numbers(&[1000], 0.0, 1.0);
        self.op("Gemm", &[&flat, &weight, &bias], Vec::new())
    }
}

pub fn ints(name: &str, numbers: &[i64]) -> AttributeProto {
    let r#type = AttributeType::Ints as i32;
    AttributeProto { name: name.to_owned(), r#type, ints: numbers.to_vec(), ..AttributeProto::default() }
}

pub fn int(name: &str, number: i64) -> AttributeProto {
    let r#type = AttributeType::Int as i32;
    AttributeProto { name: name.to_owned(), r#type, i: number, ..AttributeProto::default() }
}

/// ResNet-50: four stages of 3, 4, 6 and 3 bottlenecks, 25.5 million weights.
pub fn resnet50(image: i64) -> ModelProto {
    let mut net = Net::new("image", &format!("1 3 {image} {image}"));
    let stem = net.conv_bn("image", 3, 64, 7, 2);
    let stem = net.relu(&stem);
    let mut x = net.pool("MaxPool", &stem, 3, 2, 1);
    let mut from = 64;
    for (stage, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
        let width = 64 << stage;
        for block in 0..blocks {
            let stride = if block == 0 && stage > 0 { 2 } else { 1 };
            let y = net.conv_bn(&x, from, width, 1, 1);
            let y = net.relu(&y);
            let y = net.conv_bn(&y, width, width, 3, stride);
            let y = net.relu(&y);
            let y = net.conv_bn(&y, width, 4 * width, 1, 1);
            let shortcut = if block == 0 { net.conv_bn(&x, from, 4 * width, 1, stride) } else { x };
            let sum = net.op("Add", &[&y, &shortcut], Vec::new());
            x = net.relu(&sum);
            from = 4 * width;
        }
    }
    let logits = net.classify(&x, from);
    net.finish(&logits, "logits")
}

/// DenseNet-121: four blocks of 6, 12, 24 and 16 layers that each read all before, 8 million weights.
pub fn densenet121(image: i64) -> ModelProto {
    let mut net = Net::new("image", &format!("1 3 {image} {image}"));
    let stem = net.conv_bn("image", 3, 64, 7, 2);
    let stem = net.relu(&stem);
    let mut x = net.pool("MaxPool", &stem, 3, 2, 1);
    let mut channels = 64;
    for (block, layers) in [6, 12, 24, 16].into_iter().enumerate() {
        if block > 0 {
            x = net.bn(&x, channels);
            x = net.relu(&x);
            x = net.conv_bn(&x, channels, channels / 2, 1, 1);
            x = net.pool("AveragePool", &x, 2, 2, 0);
            channels /= 2;
        }
        for _ in 0..layers {
            let y = net.bn(&x, channels);
            let y = net.relu(&y);
            let y = net.conv_bn(&y, channels, 128, 1, 1);
            let y = net.relu(&y);
            let y = net.conv_bn(&y, 128, 32, 3, 1);
            x = net.op("Concat", &[&x, &y], vec![int("axis", 1)]);
            channels += 32;
        }
    }
    let x = net.bn(&x, channels);
    let x = net.relu(&x);
    let logits = net.classify(&x, channels);
    net.finish(&logits, "logits")
}

/// How large a decoder is.
#[derive(Clone, Copy)]
pub struct Decoder {
    pub layers: usize,
    pub width: usize,
    pub heads: usize,
}

impl Decoder {
    /// Its cache: each output, and the input that it is for the next token.
    pub fn caches(self) -> impl Iterator<Item = (String, String)> {
        let pair = |layer, role| (format!("present.{layer}.{role}"), format!("past.{layer}.{role}"));
        (0..self.layers).flat_map(move |layer| ["key", "value"].map(|role| pair(layer, role)))
    }
}

/// One token through the layers of a decoder in the manner of GPT-2, with the keys and values of those before it: its
/// embedding in, what the vocabulary would be asked out.
pub fn decoder(size: Decoder) -> ModelProto {
    let [width, heads] = [size.width, size.heads].map(|size| size as i64);
    let mut net = Net::new("x", &format!("1 1 {width}"));
    let (split, joined) = (net.dims(&[1, 1, heads, width / heads]), net.dims(&[1, 1, width]));
    let scale = net.numbers(&[1], (heads as f32 / width as f32).sqrt(), 0.0);
    let swap = |net: &mut Net, x: &str| net.op("Transpose", &[x], vec![ints("perm", &[0, 2, 1, 3])]);
    let mut x = "x".to_owned();
    for layer in 0..size.layers {
        let normed = net.layer_norm(&x, width);
        let [query, key, value] = ["query", "key", "value"].map(|role| {
            let y = net.linear(&normed, width, width);
            let y = net.op("Reshape", &[&y, &split], Vec::new());
            let y = swap(&mut net, &y);
            if role == "query" {
                return net.op("Mul", &[&y, &scale], Vec::new());
            }
            let past = format!("past.{layer}.{role}");
            net.input(&past, &format!("1 {heads} past {}", width / heads));
            let all = net.op("Concat", &[&past, &y], vec![int("axis", 2)]);
            net.output(&all, &format!("present.{layer}.{role}"));
            all
        });
        let key = net.op("Transpose", &[&key], vec![ints("perm", &[0, 1, 3, 2])]);
        let scores = net.op("MatMul", &[&query, &key], Vec::new());
        let scores = net.op("Softmax", &[&scores], Vec::new());
        let heard = net.op("MatMul", &[&scores, &value], Vec::new());
        let heard = swap(&mut net, &heard);
        let heard = net.op("Reshape", &[&heard, &joined], Vec::new());
        let heard = net.linear(&heard, width, width);
        x = net.op("Add", &[&x, &heard], Vec::new());
        let normed = net.layer_norm(&x, width);
        let hidden = net.linear(&normed, width, 4 * width);
        let hidden = net.op("Gelu", &[&hidden], Vec::new());
        let thought = net.linear(&hidden, 4 * width, width);
        x = net.op("Add", &[&x, &thought], Vec::new());
    }
    let y = net.layer_norm(&x, width);
    net.finish(&y, "y")
}
