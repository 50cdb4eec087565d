//! Networks of the size of those that people run, for tests. Their weights are computed in the graph from a few numbers,
//! each different from its neighbours: the files stay small, the sessions are as large as the real ones.

use super::build::{FLOAT, model, node, value};
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

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.graph.node.len()
    }

    /// The model, of which the tensor is the output.
    pub fn finish(mut self, output: &str, name: &str) -> ModelProto {
        self.add("Identity", &[output], name, Vec::new());
        self.graph.output.push(value(name, FLOAT, "*"));
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
