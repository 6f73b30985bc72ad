// Calls a model: node infer.js PROTO_FOLDER HOST:PORT MODEL INPUT ROW.json
// Needs: npm install @grpc/grpc-js @grpc/proto-loader
const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [proto, address, model, name, file] = process.argv.slice(2);
const row = Float32Array.from(JSON.parse(fs.readFileSync(file, 'utf8')));

const definition = loader.loadSync('inference/grpc_service.proto', {includeDirs: [proto]});
const {inference} = grpc.loadPackageDefinition(definition);
const client =
    new inference.GRPCInferenceService(address, grpc.credentials.createInsecure());

const request = {
  modelName: model,
  inputs: [{name, datatype: 'FP32', shape: [1, row.length]}],
  rawInputContents: [Buffer.from(row.buffer)],
};
client.ModelInfer(request, {deadline: Date.now() + 10000}, (error, response) => {
  if (error) {
    console.error(`${grpc.status[error.code]}: ${error.details}`);
    process.exit(1);
  }
  const bytes = response.rawOutputContents[0];
  const values = new Float32Array(Uint8Array.from(bytes).buffer);
  console.log(JSON.stringify(Array.from(values)));
  client.close();
});
