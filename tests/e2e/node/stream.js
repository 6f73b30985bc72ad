// Calls a model by ModelStreamInfer: node stream.js PROTO_FOLDER HOST:PORT MODEL INPUT ROW.json
// Sends the row several times and a wrong request between them; prints what came.
const fs = require('fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [proto, address, model, name, file] = process.argv.slice(2);
const row = Float32Array.from(JSON.parse(fs.readFileSync(file, 'utf8')));

const definition = loader.loadSync('inference/grpc_service.proto', {includeDirs: [proto]});
const {inference} = grpc.loadPackageDefinition(definition);
const client =
    new inference.GRPCInferenceService(address, grpc.credentials.createInsecure());

const answers = {};
const stream = client.ModelStreamInfer({deadline: Date.now() + 30000});
stream.on('data', ({errorMessage, inferResponse}) => {
  answers[inferResponse.id] = errorMessage ? 'error' : Array.from(new Float32Array(
      Uint8Array.from(inferResponse.rawOutputContents[0]).buffer));
});
stream.on('error', (error) => {
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  process.exit(1);
});
stream.on('end', () => {
  console.log(JSON.stringify(answers));
  client.close();
});
for (const id of ['1', '2', 'wrong', '3']) {
  stream.write({
    modelName: model,
    id,
    inputs: [{name, datatype: id === 'wrong' ? 'INT8' : 'FP32', shape: [1, row.length]}],
    rawInputContents: [Buffer.from(row.buffer)],
  });
}
stream.end();
